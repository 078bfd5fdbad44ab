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
from torch import nn

from spa3d import ops
from spa3d.checkpoints.encoder_weights import Loaded, load_weights
from spa3d.config.settings import RunConfig, Selection
from spa3d.contracts.benchmark import Benchmark
from spa3d.contracts.dataset import Dataset
from spa3d.contracts.encoder import Channel, Encoder
from spa3d.contracts.noise import Noise
from spa3d.contracts.objective import Objective, asks_for_pairs, asks_for_twins
from spa3d.contracts.ops import Ops
from spa3d.contracts.projector import Projector
from spa3d.errors import CheckpointError, ConfigError, PluginError, SpaError
from spa3d.model.adapters import faults as adapter_faults
from spa3d.ops.selection import backends_for
from spa3d.published import not_given
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
        return f"encoder weights: {given}" if given else not_given(self.config, self.registry.manifest)

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


def assemble(config: RunConfig, registry: Registry) -> Assembly:
    """Build the parts of a run; raises one `ConfigError` with everything that does not fit."""
    device = choose_device(config.device)
    dataset = make_dataset(config, registry)
    objective: Objective = _create(registry, "objective", config.objective)
    encoder: Encoder = _create(registry, "encoder", config.encoder)
    assembly = Assembly(
        config=config,
        registry=registry,
        device=device,
        bf16=config.dtype == "bfloat16" or (config.dtype == "auto" and device.type == "cuda"),
        ops=backends_for(config.ops, device.type, registry),
        dataset=dataset,
        noise=make_noise(config, registry),
        objective=objective,
        sft=registry.target(registry.get("objective", "sft"))(),
        benchmarks={chosen.asked: _create(registry, "benchmark", chosen) for chosen in config.benchmark},
        num_points=config.points.count or int(getattr(dataset.config, "points", 0)),
        min_points=encoder.min_points,
        inputs=encoder.inputs,
        weights=_load_weights(config, registry, encoder),
    )
    with ops.use(*assembly.ops):
        parts = _part_faults(assembly, encoder.eval())
    faults = [*_weights_faults(config), *_objective_faults(config, objective, dataset), *_stage_faults(config), *parts]
    if faults:
        raise ConfigError(faults)
    return assembly


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


def _weights_faults(config: RunConfig) -> list[str]:
    if not config.base.path or not config.encoder.checkpoint:
        return []
    given = f"--encoder.checkpoint {config.encoder.checkpoint}"
    return [f"{given}: --base {config.base.path} brings the weights of its own encoder; give one of the two"]


def _objective_faults(config: RunConfig, objective: Objective, dataset: Dataset) -> list[str]:
    """What `objective` asks for that this run cannot give."""
    faults, asked = [], config.objective.asked
    if asks_for_pairs(objective.needs) and not (config.pairs.path or config.pairs.mode):
        faults.append(
            f"--objective {asked}: it needs rejected answers; make them in this run with --pairs.mode augmentation "
            "(the model's own answers to noised clouds) or --pairs.mode corruption (true answers rewritten), or "
            "beforehand with `spa3d pairs FILE`, and give them with --pairs.path FILE"
        )
    if config.pairs.path and config.pairs.mode:
        faults.append(
            f"--pairs.path {config.pairs.path} and --pairs.mode {config.pairs.mode}: read pairs or make them; give one"
        )
    if asks_for_twins(objective.needs) and type(dataset).twin is Dataset.twin:
        faults.append(f"--objective {asked}: it needs twins, and dataset {config.dataset.asked} makes none")
    views = sorted({need.view for need in objective.needs} - {"clean", "blind"})
    if config.blind and views:
        way = "leave it out, or take an objective without that view, such as sft"
        faults.append(f"--blind: there is no cloud for the {views[0]} view that {asked} asks for; {way}")
    return faults


def _stage_faults(config: RunConfig) -> list[str]:
    from spa3d.pipeline.base import parts_trained  # it stands on assemblies

    stages = {f"base.{name}": getattr(config.base, name) for name in ("encoder", "llm", "align", "instruct")}
    world = int(os.environ.get("WORLD_SIZE", "1"))
    split = f" among {world} processes" if world > 1 else ""
    faults = [
        f"--base.{name}.train {','.join(stage.train)}: this stage trains the {name} alone; leave it out"
        for name, stage in (("encoder", config.base.encoder), ("llm", config.base.llm))
        if stage.train not in ((), (name,))
    ]
    given = None if config.base.path else config.llm
    faults += adapter_faults(config.train.lora, parts_trained("post-train", config.train), given)
    return faults + [
        f"--{name}.batch_size {stage.batch_size} cannot be split into --{name}.accumulation {stage.accumulation}{split}"
        for name, stage in {**stages, "train": config.train}.items()
        if stage.batch_size % (stage.accumulation * world)
    ]


def _part_faults(assembly: Assembly, encoder: Encoder) -> list[str]:
    """Hold encoder, projector and LLM against each other: shapes by one small forward, room for a cloud in a prompt."""
    from spa3d.model.llm import llm_config  # it brings transformers, for which a look at the devices should not wait

    count, config = assembly.num_points, assembly.config
    if not count:
        return [f"--points.count: say how many points a cloud has; dataset {config.dataset.asked} does not"]
    if count < encoder.min_points:
        needs = f"encoder {config.encoder.asked} needs at least {encoder.min_points} points"
        return [f"--points.count {count}: {needs}; raise it, or choose an encoder that needs fewer"]
    points = torch.rand(1, count, encoder.channels, generator=torch.Generator().manual_seed(0))
    tokens = _tried(f"--encoder {config.encoder.asked}", encoder, points)
    promised = (1, encoder.num_tokens(count), encoder.dim)
    faults = _broken_word("encoder", config.encoder, tokens, promised)
    if config.base.path:  # it brings its own LLM, and what else it was made of is looked at where it is located
        return faults
    with torch.device("meta"):
        hidden = llm_config(config.llm).get_text_config().hidden_size
        projector = assembly.make_projector(encoder.dim, hidden)
        prompt = _tried(f"--projector {config.projector.asked}", projector, torch.empty(promised))
    length = projector.num_tokens(encoder.num_tokens(count))
    faults += _broken_word("projector", config.projector, prompt, (1, length, hidden))
    if length + 2 >= config.llm.max_length:
        takes = f"a cloud takes {length + 2} tokens, so no text fits"
        faults.append(f"--llm.max_length {config.llm.max_length}: {takes}; raise it, or choose fewer point tokens")
    return faults


def _tried(what: str, part: nn.Module, given: torch.Tensor) -> torch.Tensor:
    try:
        with torch.no_grad():
            found: torch.Tensor = part(given)
    except Exception as fault:
        shape = tuple(given.shape)
        raise PluginError(f"{what}: it fails on an input of shape {shape}: {type(fault).__name__}: {fault}") from fault
    return found


def _broken_word(kind: str, chosen: Selection, given: torch.Tensor, promised: tuple[int, ...]) -> list[str]:
    shape = tuple(given.shape)
    return [f"--{kind} {chosen.asked}: it promises the shape {promised} and gives {shape}"] if shape != promised else []


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
