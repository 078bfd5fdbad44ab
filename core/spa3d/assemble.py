"""From a `RunConfig` to live objects: the only place that imports targets and calls constructors.

Everything that can be found wrong without data is found here: parts that do not fit, an objective that asks for what
this run cannot give, a device that is not there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from spa3d.config import RunConfig, Selection
from spa3d.contracts.benchmark import Benchmark
from spa3d.contracts.dataset import Dataset
from spa3d.contracts.encoder import Encoder
from spa3d.contracts.noise import Noise
from spa3d.contracts.objective import Objective
from spa3d.contracts.ops import Ops
from spa3d.contracts.projector import Projector
from spa3d.errors import ConfigError, PluginError, SpaError
from spa3d.registry import Registry


@dataclass(frozen=True)
class Assembly:
    """The live parts of a run; encoder and projector are made anew for each base, by `make_encoder` and co."""

    config: RunConfig
    registry: Registry
    device: torch.device
    bf16: bool
    ops: Ops
    dataset: Dataset
    noise: Noise
    objective: Objective
    sft: Objective
    benchmarks: Mapping[str, Benchmark]
    num_points: int

    def make_encoder(self) -> Encoder:
        """A fresh encoder; its weights come from the global generator, which the caller seeds."""
        return _create(self.registry, "encoder", self.config.encoder)

    def make_projector(self, dim: int, hidden: int) -> Projector:
        """A fresh projector between two widths."""
        return _create(self.registry, "projector", self.config.projector, dim=dim, hidden=hidden)

    def sources(self) -> list[Path]:
        """Source files that decide what a base is: those of its parts and of training, with all that they import."""
        chosen = {"encoder": self.config.encoder, "projector": self.config.projector, "dataset": self.config.dataset}
        targets = [self.registry.target(self.registry.get(kind, one.component)) for kind, one in chosen.items()]
        return source_files("spa3d.training.fit", "spa3d.training.pretrain", *(one.__module__ for one in targets))


def assemble(config: RunConfig, registry: Registry) -> Assembly:
    """Build the parts of a run; raises one `ConfigError` with everything that does not fit."""
    device = choose_device(config.device)
    dataset: Dataset = _create(registry, "dataset", config.dataset)
    dataset.on_bad_data = config.on_bad_data
    objective: Objective = _create(registry, "objective", config.objective)
    assembly = Assembly(
        config=config,
        registry=registry,
        device=device,
        bf16=config.dtype == "bfloat16" or (config.dtype == "auto" and device.type == "cuda"),
        ops=registry.target(registry.get("ops", backend_name(config.ops)))(),
        dataset=dataset,
        noise=_create(registry, "noise", config.noise),
        objective=objective,
        sft=registry.target(registry.get("objective", "sft"))(),
        benchmarks={chosen.asked: _create(registry, "benchmark", chosen) for chosen in config.benchmark},
        num_points=config.points.count or int(getattr(dataset.config, "points", 0)),
    )
    faults = [*_objective_faults(config, objective), *_stage_faults(config), *_encoder_faults(assembly)]
    if faults:
        raise ConfigError(faults)
    return assembly


def choose_device(asked: str) -> torch.device:
    """The device to run on; ``auto`` takes CUDA, then MPS, then the CPU."""
    there = ["cpu"]
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        there.append("mps")
    if asked == "auto" and "cuda" in there and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    if asked == "auto":
        return torch.device("cuda" if "cuda" in there else "mps" if "mps" in there else "cpu")
    if asked not in there:
        raise ConfigError(f"--device {asked}: not on this machine; there is: auto, {', '.join(there)}")
    return torch.device(asked)


def backend_name(asked: str) -> str:
    """The backend of the point operations that `asked` stands for."""
    return "torch" if asked == "auto" else asked


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


def _objective_faults(config: RunConfig, objective: Objective) -> list[str]:
    faults = []
    for need in objective.needs:
        if need.text == "rejected" or need.view == "twin" or need.model == "reference":
            faults.append(
                f"--objective {config.objective.asked}: it asks for {need.text} text under the {need.view} view by the "
                f"{need.model} model; runs score the chosen text by the policy under clean, noised, other and blind"
            )
        if config.blind and need.view not in ("clean", "blind"):
            faults.append(f"--blind: there is no cloud for the {need.view} view that {config.objective.asked} asks for")
    return faults


def _stage_faults(config: RunConfig) -> list[str]:
    stages = {f"base.{name}": getattr(config.base, name) for name in ("encoder", "llm", "align", "instruct")}
    return [
        f"--{name}.batch_size {stage.batch_size} cannot be split into --{name}.accumulation {stage.accumulation}"
        for name, stage in {**stages, "train": config.train}.items()
        if stage.batch_size % stage.accumulation
    ]


def _encoder_faults(assembly: Assembly) -> list[str]:
    """Check the encoder's word on tokens, width and points with one small forward."""
    count, name = assembly.num_points, assembly.config.encoder.asked
    if not count:
        return [f"--points.count: say how many points a cloud has; dataset {assembly.config.dataset.asked} does not"]
    encoder = assembly.make_encoder().eval()
    if count < encoder.min_points:
        return [f"--points.count {count}: encoder {name} needs at least {encoder.min_points} points"]
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(1, count, encoder.channels, generator=generator)
    with torch.no_grad():
        tokens = encoder(points)
    promised = (1, encoder.num_tokens(count), encoder.dim)
    if tuple(tokens.shape) != promised:
        given = tuple(tokens.shape)
        return [f"--encoder {name}: it promises tokens of shape {promised} for {count} points and gives {given}"]
    return []


def source_files(*modules: str) -> list[Path]:
    """Files of `modules` and of everything they import, directly or not, from their own top-level packages.

    What a module imports is read off its names, so no file is parsed.
    """
    packages = {name.partition(".")[0] for name in modules} | {"spa3d"}
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        module = import_module(name)
        found[name] = Path(str(module.__file__))
        values = vars(module).values()
        names = {str(getattr(value, "__module__", None) or getattr(value, "__name__", "")) for value in values}
        waiting += sorted(other for other in names if other.partition(".")[0] in packages and other in sys.modules)
    return list(found.values())
