"""Fingerprints: what decides each artifact of a run, in one place.

An artifact is kept under a hash of everything that could change it: settings, data, weights, device and the source
files of the code that makes it. The code stands here as module objects, each with all that it imports.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from spa3d.artifacts.hashing import digest, hash_sources
from spa3d.artifacts.sources import source_files
from spa3d.artifacts.workspace import Workspace
from spa3d.config.settings import PairsSettings, RunConfig
from spa3d.config.stages import stages_of
from spa3d.data import preparation
from spa3d.evaluation import evaluate
from spa3d.model import modeling
from spa3d.pipeline import build_base, post_train
from spa3d.pipeline.parts import Execution, Fingerprints, Parts
from spa3d.preferences import augmentation
from spa3d.preferences.writers.contract import Writer
from spa3d.registry.registry import Registry

BASE_KINDS = ("encoder", "projector", "dataset")
"""The kinds of components that decide a base."""
UNDECIDING = ("save_every", "log_every")
"""Settings of a stage that change no weight."""


def run_fingerprints(
    config: RunConfig,
    registry: Registry,
    parts: Parts,
    execution: Execution,
    *,
    left_out: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Fingerprints:
    """The fingerprints of a run.

    Args:
        config: of the run.
        registry: it was chosen from.
        parts: its components.
        execution: where it computes.
        left_out: by split, ids of the records that cannot be read and are skipped.

    """
    modules = {kind: _module(registry, kind, getattr(config, kind).component) for kind in BASE_KINDS}
    data, skipped = parts.dataset.fingerprint(), sorted(set().union(*left_out.values()))
    place = [execution.bf16, execution.device.type]
    code = _hash(preparation, modules["dataset"])
    clouds = digest([data, dict(parts.preparation), parts.min_points, code])
    base_files = source_files(build_base, *modules.values())
    chosen = {name: _module_of(part) for name, part in parts.benchmarks.items()}
    decisive = (post_train, evaluate, _module_of(parts.noise), _module_of(parts.objective), *chosen.values())
    return Fingerprints(
        base=_base(
            config, parts, execution, data=data, left_out=left_out.get("train", ()), sources=hash_sources(base_files)
        ),
        clouds=clouds,
        tokens=digest([_chosen(config, "encoder"), _hash(modules["encoder"]), parts.dataset.up_axis, *place, clouds]),
        reference=digest([_hash(modeling, modules["encoder"], modules["projector"]), *place, clouds]),
        noise=_hash(_module_of(parts.noise)),
        answers={name: _answers(config, name, _hash(evaluate, chosen[name]), data, skipped) for name in chosen},
        data=data,
        sources=hash_sources([*base_files, *source_files(*decisive)]),
    )


def _base(
    config: RunConfig, parts: Parts, execution: Execution, *, data: str, left_out: Collection[str], sources: str
) -> dict[str, Any]:
    """Everything that decides what a base is, by name."""
    weights = parts.encoder_weights
    return {
        "encoder": _chosen(config, "encoder"),
        "weights": execution.workspace.hash_files(weights.files) if weights else "",
        "projector": _chosen(config, "projector"),
        "llm": config.llm.model_dump(),
        "points": config.points.model_dump(),
        "stages": {name: getattr(config.base, name).model_dump(exclude=UNDECIDING) for name in stages_of(config)},
        "seed": config.base.seed,
        "blind": config.blind,
        "data": data,
        "left_out": sorted(left_out),
        "device": execution.device.type,
        "bf16": execution.bf16,
        "sources": sources,
    }


def _answers(config: RunConfig, name: str, code: str, data: str, left_out: Sequence[str]) -> str:
    """Of the base's answers to the questions of a benchmark."""
    settings = next(chosen.config for chosen in config.benchmark if chosen.requested == name)
    asked = config.evaluate.model_dump(exclude={"bootstrap", "batch_size"})
    return digest([settings, asked, data, code, config.blind, list(left_out)])


def _chosen(config: RunConfig, kind: str) -> dict[str, Any]:
    selection: dict[str, Any] = getattr(config, kind).model_dump(include={"component", "config"})
    return selection


def _module(registry: Registry, kind: str, component: str) -> ModuleType:
    """The module that a component's class is in."""
    return sys.modules[registry.target(registry.get(kind, component)).__module__]


def _module_of(part: object) -> ModuleType:
    return sys.modules[type(part).__module__]


def _hash(*modules: ModuleType) -> str:
    """Hash of the source files of `modules` and of all that they import."""
    return hash_sources(source_files(*modules))


def augmentation_fingerprint(
    parts: Parts, execution: Execution, fingerprints: Fingerprints, made: Mapping[str, Any]
) -> str:
    """Of the base's own answers that pairs are made of.

    Args:
        parts: components of the run.
        execution: where it computes.
        fingerprints: of the run.
        made: how the pairs come about; ``base``, ``chosen``, ``noise_settings`` and ``seed`` are in it.

    """
    noise = [type(parts.noise).__qualname__, made["noise_settings"], fingerprints.noise]
    decisive = [made["base"], made["chosen"], noise, made["seed"], execution.bf16, execution.device.type]
    return digest([*decisive, _hash(augmentation), fingerprints.data])


def rewriting_fingerprint(
    writer: Writer, settings: PairsSettings, workspace: Workspace, *, seed: int, data: str
) -> str:
    """Of a writer's rewritten answers. Those of an endpoint are paid for: they outlive a change of seed or code."""
    if settings.writer == "endpoint":
        return digest([writer.name, settings.url, data])
    local = settings.writer == "model" and Path(settings.llm).is_dir()
    weights = workspace.hash_folder(Path(settings.llm)) if local else ""
    return digest([writer.name, seed, weights, _hash(_module_of(writer)), data])
