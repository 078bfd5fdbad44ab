"""Live components of a run, built from its `RunConfig`.

Finds all errors that need no data: parts that do not fit, an objective with needs that this run cannot meet, a missing
device.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from spa3d import ops
from spa3d.artifacts.workspace import Workspace
from spa3d.checkpoints.encoder_weights import LoadedWeights, load_weights
from spa3d.config.settings import RunConfig, Selection
from spa3d.contracts.benchmark import Benchmark
from spa3d.contracts.dataset import Dataset, SkipLog
from spa3d.contracts.encoder import Encoder
from spa3d.contracts.noise import Noise
from spa3d.errors import CheckpointError, ConfigError, PluginError, SpaError, contain_exit
from spa3d.model.llm import check_llm
from spa3d.model.parts import describe_part
from spa3d.model.precision import uses_bf16
from spa3d.ops.selection import backends_for
from spa3d.pipeline.base import find_special_tokens
from spa3d.pipeline.checks import objective_errors, part_errors, split_errors, stage_errors, weights_errors
from spa3d.pipeline.parts import Execution, Parts
from spa3d.pipeline.trials import try_noise, try_objective
from spa3d.registry.manifest import Manifest, weights_source
from spa3d.registry.registry import Registry
from spa3d.runtime.device import choose_device

CHOSEN = ("encoder", "projector", "noise", "objective", "dataset")
"""The kinds of components of which a run has exactly one."""


def make_execution(config: RunConfig, registry: Registry, workspace: Workspace | None = None) -> Execution:
    """Device, precision, backends and workspace of a run.

    Without `workspace`, that of the environment.

    Raises:
        ConfigError: the device is missing, or a backend does not work on it.

    """
    device = choose_device(config.device)
    return Execution(
        device=device,
        bf16=uses_bf16(config.dtype, device),
        threads=config.threads or torch.get_num_threads(),
        ops=backends_for(config.ops, device.type, registry),
        workspace=workspace or Workspace.from_environment(),
        cache_limit_bytes=config.cache_limit_gb * 1e9 if config.cache else None,
        batch_size=config.evaluate.batch_size,
    )


def assemble(config: RunConfig, registry: Registry, execution: Execution) -> Parts:
    """Build the components of a run, and try them on small inputs.

    Raises:
        ConfigError: everything that does not fit.
        PluginError: a component fails or breaks the contract of its kind.

    """
    dataset = make_dataset(config, registry)
    objective = _create(registry, "objective", config.objective)
    encoder: Encoder = _create(registry, "encoder", config.encoder)
    parts = Parts(
        dataset=dataset,
        noise=make_noise(config, registry),
        objective=objective,
        benchmarks={chosen.requested: make_benchmark(chosen, registry) for chosen in config.benchmark},
        sft=registry.target(registry.get("objective", "sft"))(),
        make_encoder=partial(_create, registry, "encoder", config.encoder),
        make_projector=partial(_make_projector, registry, config.projector),
        load_encoder_weights=partial(_load_weights, config, registry),
        encoder_weights=_load_weights(config, registry, encoder),
        names={kind: getattr(config, kind).requested for kind in CHOSEN},
        described={
            kind: describe_part(registry, kind, getattr(config, kind).component, getattr(config, kind).config)
            for kind in ("encoder", "projector")
        },
        preparation=preparation_kwargs(config, count=config.points.count or int(getattr(dataset.config, "points", 0))),
        min_points=encoder.min_points,
        inputs=encoder.inputs,
    )
    if config.llm.path and not config.base.path:
        check_llm(config.llm.path)
    try_objective(f"--objective {parts.names['objective']}", objective)
    with ops.use(*execution.ops):
        errors = part_errors(parts, encoder.eval(), config.llm, base=config.base.path)
    errors = [
        *weights_errors(config),
        *objective_errors(config, parts),
        *stage_errors(config),
        *split_errors(config, encoder),
        *errors,
    ]
    if errors:
        raise ConfigError(errors)
    if not config.blind:
        with ops.use(*execution.ops):
            try_noise(f"--noise {parts.names['noise']}", parts.noise, parts.num_points)
    return replace(parts, special_tokens=find_special_tokens(config))


def preparation_kwargs(config: RunConfig, *, count: int) -> dict[str, Any]:
    """The settings of `config` as arguments of `Preparation`, for clouds of `count` points."""
    points = config.points
    return {
        "count": count,
        "method": points.resample,
        "normalize": points.normalize,
        "missing_color": points.missing_color,
    }


def make_dataset(config: RunConfig, registry: Registry, skip_log: SkipLog | None = None) -> Dataset:
    """The dataset of a run; lines about skipped data go to `skip_log`."""
    dataset: Dataset = _create(
        registry, "dataset", config.dataset, on_bad_data=config.on_bad_data, skip_log=skip_log or SkipLog()
    )
    return dataset


def make_benchmark(chosen: Selection, registry: Registry) -> Benchmark:
    """A chosen benchmark."""
    benchmark: Benchmark = _create(registry, "benchmark", chosen)
    return benchmark


def make_noise(config: RunConfig, registry: Registry, **values: Any) -> Noise:
    """The noise of a run; `values` override its settings."""
    selection = config.noise.model_copy(update={"config": {**config.noise.config, **values}})
    noise: Noise = _create(registry, "noise", selection)
    return noise


def describe_weights(parts: Parts, config: RunConfig, manifest: Manifest) -> str:
    """Describe the source of the encoder's weights, used or available; empty if there is none."""
    if parts.encoder_weights:
        return f"encoder weights: {parts.encoder_weights}"
    source = weights_source(manifest, config.encoder.preset)
    if not source or config.encoder.checkpoint or config.base.path:
        return ""
    name = config.encoder.requested
    return f"encoder {name} starts from fresh weights: {source}; --encoder.checkpoint FILE reads them"


def owners(config: RunConfig, registry: Registry) -> dict[str, str]:
    """Origin of each component: its distribution and version, or the file of a plugin."""
    rows = {kind: registry.get(kind, getattr(config, kind).component) for kind in CHOSEN}
    rows |= {
        f"benchmark {selection.requested}": registry.get("benchmark", selection.component)
        for selection in config.benchmark
    }
    return {name: registry.origin(row).owner for name, row in rows.items()}


def _create(registry: Registry, kind: str, selection: Selection, **values: Any) -> Any:
    component = registry.get(kind, selection.component)
    try:
        with contain_exit():
            return registry.target(component)(**values, **selection.config)
    except SpaError:
        raise
    except Exception as error:
        raise PluginError(
            f"{kind} {selection.component!r} ({registry.origin(component)}) could not be built from "
            f"{selection.config}: {type(error).__name__}: {error}"
        ) from error


def _make_projector(registry: Registry, selection: Selection, dim: int, hidden: int) -> Any:
    return _create(registry, "projector", selection, dim=dim, hidden=hidden)


def _load_weights(config: RunConfig, registry: Registry, encoder: Encoder) -> LoadedWeights | None:
    """Load the file of ``--encoder.checkpoint``; raises `CheckpointError` if it does not fit."""
    selection = config.encoder
    if not selection.checkpoint or config.base.path:
        return None
    preset = f" (here {selection.preset})" if selection.preset not in ("", selection.requested) else ""
    name = f"{selection.requested}{preset}"
    try:
        return load_weights(encoder, selection.checkpoint, name=name, registry=registry, run_preset=config.preset)
    except CheckpointError as error:
        raise CheckpointError(f"--encoder.checkpoint {error}") from error
