"""Decisive settings of a run; config.yaml and passport.json contain all of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from spa3d.rendering.numbers import format_duration
from spa3d.report.document import Document

PARTS = ("encoder", "projector", "noise", "objective", "dataset")

CHOICES = {
    "fresh": (True, "fresh questions"),
    "early_stop": (True, "stops when the watchdog warns"),
    "keep": ("best", "keeps the best weights on held-out records"),
}
"""Settings of post-training that are listed only if they differ from the default."""


def run_details(document: Document) -> list[tuple[str, str]]:
    """List names and values of the decisive settings; absent ones are left out."""
    config, machine = document.config, _as_mapping(document.passport.get("machine"))
    pairs = [(part.capitalize(), format_selection(config.get(part))) for part in PARTS]
    pairs.insert(2, ("LLM", format_llm(document)))
    pairs += [
        ("Splits", ", ".join(f"{name} {size:,}" for name, size in _as_mapping(document.data.get("splits")).items())),
        ("Reported split", read_reported_split(document)),
        ("Pairs", _pairs(_as_mapping(document.passport.get("pairs")), _as_mapping(config.get("pairs")))),
        ("Preset", str(config.get("preset", ""))),
        ("Post-training", _stage(_as_mapping(config.get("train")))),
        ("Precision", _format_precision(document.passport)),
        ("Seeds", format_seeds(config)),
        ("Decoding", format_decoding(document.decoding)),
        ("Arguments", shlex.join(str(word) for word in machine.get("argv") or ())),
        ("Machine", ", ".join(str(machine[key]) for key in ("device", "name") if machine.get(key))),
        ("Versions", format_versions(document.passport)),
        ("Date", str(document.passport.get("created", "")).replace("T", " ")),
        ("Time", _format_times(document)),
    ]
    return [(name, value) for name, value in pairs if value]


def _format_times(document: Document) -> str:
    """Format the time of each stage; a base without a time was there before."""
    times = [f"{stage}: {format_duration(seconds)}" for stage, seconds in document.timing.items()]
    if times and "base" not in document.timing:
        times.insert(0, "base: given" if _as_mapping(document.config.get("base")).get("path") else "base: reused")
    return ", ".join(times)


def format_title(document: Document) -> str:
    """Format the title of a report: ``pointnext · mask · spa · seed 0``."""
    names = [_as_mapping(document.config.get(part)).get("requested") for part in ("encoder", "noise", "objective")]
    seed = document.config.get("seed")
    words = [str(name) for name in names if name] + ([f"seed {seed}"] if seed is not None else [])
    return " · ".join(words) or "spa3d run"


def format_llm(document: Document) -> str:
    """Format the requested LLM, or the path of the base that contains it."""
    base_path = _as_mapping(document.config.get("base")).get("path")
    return f"that of {base_path}" if base_path else str(document.config.get("llm_name", ""))


def read_reported_split(document: Document) -> str:
    """Read the name of the reported split."""
    return str(_as_mapping(document.config.get("evaluate")).get("split", ""))


def format_noise(document: Document) -> str:
    """Format the noise with its level: ``mask, level 0.25``."""
    return format_selection(document.config.get("noise"), only=("level",))


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def format_selection(value: object, only: tuple[str, ...] | None = None) -> str:
    """Format a component: the requested name, the component, its plain settings."""
    chosen = _as_mapping(value)
    if not chosen:
        return ""
    requested, component = str(chosen.get("requested", "")), str(chosen.get("component", ""))
    settings = _as_mapping(chosen.get("config"))
    clauses = [f"{key} {_format_value(value)}" for key, value in settings.items() if only is None or key in only]
    clauses = [words for words in clauses if not words.endswith(" ")]  # an empty setting has no effect
    name = requested if component in ("", requested) else f"{requested} ({component})"
    weights = chosen.get("checkpoint")
    return ", ".join([name, *([f"weights of {PurePath(str(weights)).name}"] if weights else []), *clauses])


def _format_value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "/".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _pairs(counts: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Format the numbers of preference pairs and their origin."""
    if not counts:
        return ""
    if settings.get("path"):
        return f"{counts.get('kept')} of {settings['path']}"
    origin = f"by {settings.get('mode')}{_format_writer(settings)}"
    clauses = [f"{counts.get('kept')} of {counts.get('requested')} requests, {origin}"]
    return "; ".join(clauses + [f"{count} dropped: {why}" for why, count in _as_mapping(counts.get("dropped")).items()])


def _format_writer(settings: Mapping[str, Any]) -> str:
    """Format the writer of the rejected answers."""
    if settings.get("mode") == "augmentation":
        return " (both answers the model's)" if settings.get("chosen") == "model" else ""
    names = [str(settings[key]) for key in ("writer", "llm") if settings.get(key)]
    return f" ({' '.join(names)})" if names else ""


def _stage(train: Mapping[str, Any]) -> str:
    if not train:
        return ""
    amount, unit = (train["steps"], "step") if train.get("steps") else (train.get("epochs", "?"), "epoch")
    length = f"{_format_value(amount)} {unit}{'' if amount == 1 else 's'}"
    clauses = [
        length,
        f"batch {train.get('batch_size', '?')}",
        f"learning rate {_format_value(train.get('learning_rate', '?'))}",
    ]
    parts = train.get("train")
    clauses += [f"trains {_format_value(parts)}"] if parts else []
    clauses += [what for key, (value, what) in CHOICES.items() if train.get(key) == value]
    return ", ".join(clauses + _adapters(_as_mapping(train.get("lora"))))


def _format_precision(passport: Mapping[str, Any]) -> str:
    """Format the data types of arithmetic and weights."""
    dtypes = {
        **_as_mapping(passport.get("precision")),
        "LLM as stored": passport.get("llm_dtype"),
        "saved weights": passport.get("saved_dtype"),
    }
    return ", ".join(f"{what} {dtype}" for what, dtype in dtypes.items() if dtype)


def _adapters(lora: Mapping[str, Any]) -> list[str]:
    """Describe the adapters of the LLM, if there are any."""
    if not lora.get("rank"):
        return []
    text = (
        f"the LLM through adapters of rank {_format_value(lora['rank'])} (alpha {_format_value(lora.get('alpha', '?'))}"
    )
    text += f", dropout {_format_value(lora['dropout'])}" if lora.get("dropout") else ""
    return [text + (f", in {_format_value(lora['targets'])})" if lora.get("targets") else ")")]


def format_seeds(config: Mapping[str, Any]) -> str:
    """Format the seeds of a run: ``post-training 0, base 0``; empty if none was recorded."""
    seeds = {
        "post-training": config.get("seed"),
        "base": _as_mapping(config.get("base")).get("seed"),
        "questions": _as_mapping(config.get("evaluate")).get("seed"),
    }
    return ", ".join(f"{name} {seed}" for name, seed in seeds.items() if seed is not None)


def format_decoding(decoding: Mapping[str, Any]) -> str:
    """Format how answers were picked or written; empty if it was not recorded."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in decoding.items())


def format_versions(passport: Mapping[str, Any]) -> str:
    """Format the versions of the libraries, and the revision of spa3d."""
    versions = _as_mapping(passport.get("versions"))
    clauses = [f"{name} {version}" for name, version in versions.items()]
    revision = str(passport.get("revision", ""))
    changed = " with uncommitted changes" if revision.endswith("+") else ""
    return ", ".join(clauses + ([f"revision {revision[:12]}{changed}"] if revision else []))
