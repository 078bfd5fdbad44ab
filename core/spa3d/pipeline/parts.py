"""Live components of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spa3d.artifacts.sources import source_files
from spa3d.checkpoints.encoder_weights import Loaded, load_weights
from spa3d.config.settings import RunConfig, Selection
from spa3d.contracts.benchmark import Benchmark
from spa3d.contracts.dataset import Dataset
from spa3d.contracts.encoder import Channel, Encoder
from spa3d.contracts.noise import Noise
from spa3d.contracts.objective import Objective
from spa3d.contracts.ops import Ops
from spa3d.contracts.projector import Projector
from spa3d.errors import CheckpointError, PluginError, SpaError
from spa3d.registry.manifest import Manifest, published_weights
from spa3d.registry.registry import Registry


@dataclass(frozen=True)
class Assembly:
    """The live parts of a run; encoder and projector are made anew for each base, by `make_encoder` and co."""

    config: RunConfig
    registry: Registry
    device: torch.device
    bf16: bool
    ops: tuple[Ops, ...]
    dataset: Dataset
    noise: Noise
    objective: Objective
    sft: Objective
    benchmarks: Mapping[str, Benchmark]
    num_points: int
    min_points: int
    inputs: tuple[Channel, ...]
    weights: Loaded | None

    def make_encoder(self) -> Encoder:
        """A fresh encoder; its weights come from the global generator, which the caller seeds."""
        return _create(self.registry, "encoder", self.config.encoder)

    def load_weights(self, encoder: Encoder) -> None:
        """Give `encoder` the weights of ``--encoder.checkpoint``, where there is one."""
        _load_weights(self.config, self.registry, encoder)

    def weights_told(self) -> str:
        """Where the encoder's weights come from, or could come from; empty where there is nothing to tell."""
        given = self.weights
        return f"encoder weights: {given}" if given else missing_weights_note(self.config, self.registry.manifest)

    def make_projector(self, dim: int, hidden: int) -> Projector:
        """A fresh projector between two widths."""
        return _create(self.registry, "projector", self.config.projector, dim=dim, hidden=hidden)

    def owners(self) -> dict[str, str]:
        """Who brings each component: its distribution and version, or the file of a plugin."""
        config = self.config
        chosen = {kind: getattr(config, kind) for kind in ("encoder", "projector", "noise", "objective", "dataset")}
        rows = {kind: self.registry.get(kind, one.component) for kind, one in chosen.items()}
        rows |= {f"benchmark {one.asked}": self.registry.get("benchmark", one.component) for one in config.benchmark}
        return {name: self.registry.origin(row).owner for name, row in rows.items()}

    def preparation(self) -> dict[str, Any]:
        """How clouds are prepared: the arguments of `spa3d.data.preparation.prepare`."""
        return preparation(self.config, count=self.num_points)

    def sources(self) -> list[Path]:
        """Source files that decide what a base is: those of its parts and of training, with all that they import."""
        chosen = {"encoder": self.config.encoder, "projector": self.config.projector, "dataset": self.config.dataset}
        targets = [self.registry.target(self.registry.get(kind, one.component)) for kind, one in chosen.items()]
        return source_files("spa3d.pipeline.build_base", *(one.__module__ for one in targets))


def missing_weights_note(config: RunConfig, manifest: Manifest) -> str:
    """Where the encoder's published weights can be had, for a run that does without them; else empty."""
    published = published_weights(manifest, config.encoder.preset)
    if not published or config.encoder.checkpoint or config.base.path:
        return ""
    return (
        f"encoder {config.encoder.asked} starts from fresh weights: {published}; --encoder.checkpoint FILE reads them"
    )


def preparation(config: RunConfig, *, count: int) -> dict[str, Any]:
    """The settings of `config` as arguments of `spa3d.data.preparation.prepare`, for clouds of `count` points."""
    points = config.points
    return {
        "count": count,
        "method": points.resample,
        "normalise": points.normalise,
        "missing_color": points.missing_color,
    }


def make_dataset(config: RunConfig, registry: Registry) -> Dataset:
    """The dataset of a run, told what to do with bad data."""
    dataset: Dataset = _create(registry, "dataset", config.dataset)
    dataset.on_bad_data = config.on_bad_data
    return dataset


def make_noise(config: RunConfig, registry: Registry, **values: Any) -> Noise:
    """The noise of a run; `values` overrule its settings."""
    chosen = config.noise.model_copy(update={"config": {**config.noise.config, **values}})
    noise: Noise = _create(registry, "noise", chosen)
    return noise


def _create(registry: Registry, kind: str, selection: Selection, **values: Any) -> Any:
    component = registry.get(kind, selection.component)
    try:
        return registry.target(component)(**values, **selection.config)
    except SpaError:
        raise
    except Exception as fault:
        raise PluginError(
            f"{kind} {selection.component!r} ({registry.origin(component)}) could not be built from "
            f"{selection.config}: {type(fault).__name__}: {fault}"
        ) from fault


def _load_weights(config: RunConfig, registry: Registry, encoder: Encoder) -> Loaded | None:
    """Load what ``--encoder.checkpoint`` names; raises `CheckpointError` where it does not fit."""
    chosen = config.encoder
    if not chosen.checkpoint or config.base.path:
        return None
    stands_for = f" (here {chosen.preset})" if chosen.preset not in ("", chosen.asked) else ""
    name = f"{chosen.asked}{stands_for}"
    try:
        return load_weights(encoder, chosen.checkpoint, name=name, registry=registry, run_preset=config.preset)
    except CheckpointError as fault:
        raise CheckpointError(f"--encoder.checkpoint {fault}") from fault
