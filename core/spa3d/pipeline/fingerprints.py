"""Fingerprints of the artifacts of a run.

An artifact is saved under a hash of everything that could change it: settings, data, weights, device and the source
files of the code that makes it. The code is given as module objects; the modules that they import are included.
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
from spa3d.config.hub_ids import is_hub_id
from spa3d.config.settings import PairsSettings, RunConfig
from spa3d.config.stages import stages_of
from spa3d.contracts.dataset import Dataset
from spa3d.contracts.noise import Noise
from spa3d.data import preparation
from spa3d.evaluation import evaluate
from spa3d.inference import predictor
from spa3d.model import modeling
from spa3d.model.foreign_folders import hub_commit
from spa3d.pipeline import build_base, post_train
from spa3d.pipeline.parts import Execution, Fingerprints, Parts
from spa3d.preferences import augmentation
from spa3d.preferences.writers.contract import Writer
from spa3d.registry.registry import Registry

BASE_KINDS = ("encoder", "projector", "dataset")
"""Kinds of components that determine a base."""
UNDECIDING = ("save_every", "log_every")
"""Settings of a stage that do not change the weights."""

UNDECIDING_EVALUATION = {"bootstrap", "batch_size", "blind_run", "calibration"}
"""Settings of an evaluation that do not change the answers."""


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
        registry: source of its components.
        parts: its components.
        execution: its device, precision and workspace.
        left_out: by split, ids of the skipped records.

    """
    modules = {kind: _component_module(registry, kind, getattr(config, kind).component) for kind in BASE_KINDS}
    records, skipped = parts.dataset.fingerprint(), sorted(set().union(*left_out.values()))
    arithmetic, encoder = execution.arithmetic, _dump_selection(config, "encoder")
    data = digest([records, _hash_modules(preparation, modules["dataset"])])
    clouds = digest([data, dict(parts.preparation), parts.min_points])
    base_files = source_files(build_base, *modules.values())
    noise = noise_fingerprint(parts.noise, seed=config.evaluate.seed)
    benchmarks = {name: _module_of(part) for name, part in parts.benchmarks.items()}
    decisive = (post_train, evaluate, _module_of(parts.noise), _module_of(parts.objective), *benchmarks.values())
    return Fingerprints(
        base=_base_entries(
            config, parts, execution, data=data, left_out=left_out.get("train", ()), sources=hash_sources(base_files)
        ),
        clouds=clouds,
        tokens=digest([encoder, _hash_modules(modules["encoder"]), parts.dataset.up_axis, arithmetic, clouds]),
        reference=digest([_hash_modules(modeling, modules["encoder"], modules["projector"]), arithmetic, clouds]),
        noise=_hash_modules(_module_of(parts.noise)),
        answers={
            name: digest(
                [_answer_entries(config, name, noise), arithmetic, _hash_modules(evaluate, module), data, skipped]
            )
            for name, module in benchmarks.items()
        },
        records=records,
        data=data,
        sources=hash_sources([*base_files, *source_files(*decisive)]),
    )


def _base_entries(
    config: RunConfig, parts: Parts, execution: Execution, *, data: str, left_out: Collection[str], sources: str
) -> dict[str, Any]:
    """Everything that determines a base, by name."""
    weights = parts.encoder_weights
    return {
        "encoder": _dump_selection(config, "encoder"),
        "weights": execution.workspace.hash_files(weights.files) if weights else "",
        "projector": _dump_selection(config, "projector"),
        "llm": {
            **config.llm.model_dump(exclude={"path"}),
            "content": llm_content(config.llm.path, execution.workspace),
        },
        "points": config.points.model_dump(),
        "stages": {name: getattr(config.base, name).model_dump(exclude=UNDECIDING) for name in stages_of(config)},
        "seed": config.base.seed,
        "blind": config.blind,
        "data": data,
        "left_out": sorted(left_out),
        **execution.arithmetic,
        "sources": sources,
    }


def _answer_entries(config: RunConfig, name: str, noise: str) -> list[Any]:
    """The settings that determine the base's answers; `noise` counts where it is contrasted."""
    settings = next(selection.config for selection in config.benchmark if selection.requested == name)
    contrasted = noise if config.evaluate.decode == "contrast" else ""
    return [settings, config.evaluate.model_dump(exclude=UNDECIDING_EVALUATION), config.blind, contrasted]


def _dump_selection(config: RunConfig, kind: str) -> dict[str, Any]:
    selection: dict[str, Any] = getattr(config, kind).model_dump(include={"component", "config"})
    return selection


def _component_module(registry: Registry, kind: str, component: str) -> ModuleType:
    """Module that defines a component's class."""
    return sys.modules[registry.target(registry.get(kind, component)).__module__]


def _module_of(part: object) -> ModuleType:
    return sys.modules[type(part).__module__]


def _hash_modules(*modules: ModuleType) -> str:
    """Hash the source files of `modules` and of all modules that they import."""
    return hash_sources(source_files(*modules))


def answering_fingerprint(content: str, parts: Sequence[type[Any]], *, device: str, bf16: bool) -> str:
    """Fingerprint of a model that answers questions, for the keys of its answers.

    Args:
        content: hash of its weights and its processor.
        parts: the classes of its encoder and projector.
        device: the type of device; neither the number of threads nor that of processes counts.
        bf16: whether it runs under bfloat16 autocast.

    """
    code = _hash_modules(predictor, *(sys.modules[part.__module__] for part in parts))
    return digest([content, device, bf16, code])


def records_fingerprint(dataset: Dataset) -> str:
    """Fingerprint of a dataset's records: settings, files, and the code that reads them."""
    return digest([dataset.fingerprint(), _hash_modules(preparation, _module_of(dataset))])


def noise_fingerprint(noise: Noise | None, *, seed: int) -> str:
    """Fingerprint of a noise: settings, code and seed; empty without one."""
    if noise is None:
        return ""
    return digest([type(noise).__qualname__, noise.config.model_dump(), _hash_modules(_module_of(noise)), seed])


def augmentation_fingerprint(
    parts: Parts, execution: Execution, fingerprints: Fingerprints, provenance: Mapping[str, Any]
) -> str:
    """Fingerprint of pairs whose answers the base generates.

    Args:
        parts: components of the run.
        execution: its device, precision and workspace.
        fingerprints: of the run.
        provenance: how the pairs are made; ``base``, ``chosen``, ``noise_settings`` and ``seed`` are in it.

    """
    noise = [type(parts.noise).__qualname__, provenance["noise_settings"], fingerprints.noise]
    decisive = [provenance["base"], provenance["chosen"], noise, provenance["seed"], execution.arithmetic]
    return digest([*decisive, _hash_modules(augmentation), fingerprints.data])


def rewriting_fingerprint(
    writer: Writer, settings: PairsSettings, execution: Execution, fingerprints: Fingerprints, *, seed: int
) -> str:
    """Fingerprint of a writer's rewritten answers.

    Answers of an endpoint cost money, so they stay valid after a change of seed or code.
    """
    if settings.writer == "endpoint":
        return digest([writer.name, settings.url, fingerprints.records])
    decisive: list[Any] = [settings.writer, seed, _hash_modules(_module_of(writer)), fingerprints.data]
    if settings.writer == "model":
        decisive += [llm_content(settings.llm, execution.workspace), execution.arithmetic]
    return digest(decisive)


def llm_content(path: str, workspace: Workspace) -> str:
    """Hash of the LLM's folder, or hub id and commit; empty for a new LLM."""
    if not path:
        return ""
    if is_hub_id(path):
        return f"{path}@{hub_commit(path)}"
    return workspace.hash_folder(Path(path))
