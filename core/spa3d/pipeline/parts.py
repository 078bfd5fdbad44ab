"""Values shared by the steps of a run: components, execution, fingerprints."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from spa3d.artifacts.workspace import Workspace
from spa3d.checkpoints.encoder_weights import LoadedWeights
from spa3d.contracts.benchmark import Benchmark
from spa3d.contracts.dataset import Dataset
from spa3d.contracts.encoder import Channel, Encoder
from spa3d.contracts.noise import Noise
from spa3d.contracts.objective import Objective
from spa3d.contracts.ops import Ops
from spa3d.contracts.projector import Projector


@dataclass(frozen=True)
class Parts:
    """The live components of a run. Each model gets a new encoder and projector.

    Attributes:
        dataset, noise, objective, benchmarks: the selected ones; benchmarks by requested name.
        sft: the objective of the base's stages.
        make_encoder: makes an encoder; its weights come from the global generator, which the caller seeds.
        make_projector: makes a projector between two widths.
        load_encoder_weights: loads the file of ``--encoder.checkpoint``, if set, into an encoder.
        encoder_weights: description of the loaded weights; None without ``--encoder.checkpoint``.
        names: by kind, the requested name, for messages.
        described: entries of encoder and projector in the configuration of a saved model.
        preparation: the arguments of `spa3d.data.preparation.prepare`.
        min_points: fewest points that the encoder takes.
        inputs: the channels that the encoder takes.
        special_tokens: tokens of the base that no text may contain.

    """

    dataset: Dataset
    noise: Noise
    objective: Objective
    benchmarks: Mapping[str, Benchmark]
    sft: Objective
    make_encoder: Callable[[], Encoder]
    make_projector: Callable[[int, int], Projector]
    load_encoder_weights: Callable[[Encoder], object]
    encoder_weights: LoadedWeights | None
    names: Mapping[str, str]
    described: Mapping[str, Mapping[str, Any]]
    preparation: Mapping[str, Any]
    min_points: int
    inputs: tuple[Channel, ...]
    special_tokens: Collection[str] = ()

    @property
    def num_points(self) -> int:
        """Points of a prepared cloud."""
        return int(self.preparation["count"])


@dataclass(frozen=True)
class Execution:
    """Device, precision, backends and workspace of a run.

    Attributes:
        device: of the model.
        bf16: whether forwards run under bfloat16 autocast.
        threads: CPU threads of torch.
        ops: backends of the point operations; for each device the first one that supports it is used.
        workspace: holds bases and caches.
        cache_limit_bytes: size at which a cache stops growing; None: no cache.
        batch_size: questions, or samples without gradient, per forward.

    """

    device: torch.device
    bf16: bool
    threads: int
    ops: tuple[Ops, ...]
    workspace: Workspace
    cache_limit_bytes: float | None
    batch_size: int

    @property
    def arithmetic(self) -> dict[str, Any]:
        """What decides the last bits of every result, for keys; on a GPU the CPU's threads do not."""
        threads = self.threads if self.device.type == "cpu" else 0
        return {"device": self.device.type, "bf16": self.bf16, "threads": threads}


@dataclass(frozen=True)
class Fingerprints:
    """Hashes of what decides each artifact of a run, from `spa3d.pipeline.fingerprints`.

    Attributes:
        base: everything that determines the base, by name; its hash is the base's key.
        clouds: of prepared clouds.
        tokens: of the tokens of a frozen encoder, without its weights.
        reference: of the scores of a reference model, without its weights.
        noise: of the code of the noise.
        answers: by benchmark, of the base's answers to its questions.
        records: of the dataset's settings and files.
        data: of these and of the code that reads or makes the records.
        sources: of all code that affects the numbers.

    """

    base: Mapping[str, Any]
    clouds: str
    tokens: str
    reference: str
    noise: str
    answers: Mapping[str, str]
    records: str
    data: str
    sources: str
