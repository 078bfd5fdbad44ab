"""The values that steps of a run are given: live components, where they run, and what decides each artifact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from spa3d.artifacts.workspace import Workspace
from spa3d.checkpoints.encoder_weights import Loaded
from spa3d.contracts.benchmark import Benchmark
from spa3d.contracts.dataset import Dataset
from spa3d.contracts.encoder import Channel, Encoder
from spa3d.contracts.noise import Noise
from spa3d.contracts.objective import Objective
from spa3d.contracts.ops import Ops
from spa3d.contracts.projector import Projector


@dataclass(frozen=True)
class Parts:
    """The live components of a run. Encoder and projector are made anew for each model.

    Attributes:
        dataset, noise, objective, benchmarks: as chosen; benchmarks by the names that were asked for.
        sft: the objective of the base's stages.
        make_encoder: a fresh encoder; its weights come from the global generator, which the caller seeds.
        make_projector: a fresh projector between two widths.
        load_encoder_weights: gives an encoder the weights of ``--encoder.checkpoint``, where there is one.
        encoder_weights: what was loaded from there; None where there is none.
        names: by kind, the name that was asked for, as messages say it.
        described: encoder and projector as a saved model names them.
        preparation: the arguments of `spa3d.data.preparation.prepare`.
        min_points: fewest points that the encoder takes.
        inputs: the channels that the encoder takes.

    """

    dataset: Dataset
    noise: Noise
    objective: Objective
    benchmarks: Mapping[str, Benchmark]
    sft: Objective
    make_encoder: Callable[[], Encoder]
    make_projector: Callable[[int, int], Projector]
    load_encoder_weights: Callable[[Encoder], object]
    encoder_weights: Loaded | None
    names: Mapping[str, str]
    described: Mapping[str, Mapping[str, Any]]
    preparation: Mapping[str, Any]
    min_points: int
    inputs: tuple[Channel, ...]

    @property
    def num_points(self) -> int:
        """Points of a prepared cloud."""
        return int(self.preparation["count"])


@dataclass(frozen=True)
class Execution:
    """Where and how a run computes.

    Attributes:
        device: of the model.
        bf16: whether forwards run under bfloat16 autocast.
        ops: backends of the point operations, the first one that takes a device works there.
        workspace: where bases and caches lie.
        cache_limit_bytes: size at which a cache stops growing; None: nothing is cached.
        batch_size: questions, or samples without gradient, per forward.

    """

    device: torch.device
    bf16: bool
    ops: tuple[Ops, ...]
    workspace: Workspace
    cache_limit_bytes: float | None
    batch_size: int


@dataclass(frozen=True)
class Fingerprints:
    """Hashes of what decides each artifact of a run, computed once by `spa3d.pipeline.fingerprints`.

    Attributes:
        base: everything that decides the base, by name; its hash is the base's key.
        clouds: of prepared clouds.
        tokens: of the tokens of a frozen encoder, but for its weights.
        reference: of the scores of a reference model, but for its weights.
        noise: of the code of the noise.
        answers: by benchmark, of the base's answers to its questions.
        data: of the dataset.
        sources: of all code that decides the numbers.

    """

    base: Mapping[str, Any]
    clouds: str
    tokens: str
    reference: str
    noise: str
    answers: Mapping[str, str]
    data: str
    sources: str
