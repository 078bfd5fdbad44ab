"""What a run would do, without doing it: its stages, which are there already, its parts and what trains them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM

from spa3d.checkpoints.load import describe
from spa3d.config.settings import RunConfig
from spa3d.config.stages import optimizer_steps, parts_trained, stages_of
from spa3d.contracts.dataset import Record
from spa3d.model.adapters import planned_size
from spa3d.model.llm import llm_config
from spa3d.pipeline.assemble import assemble
from spa3d.pipeline.base import Base, answers_file, locate
from spa3d.pipeline.pairs_stage import Gathering
from spa3d.pipeline.parts import Assembly
from spa3d.registry.registry import Registry
from spa3d.runtime.progress import Silent


@dataclass(frozen=True)
class PlannedStage:
    """A step of the run and whether its result is there already."""

    name: str
    detail: str
    there: bool


@dataclass(frozen=True)
class PlannedPart:
    """A part of the model, its size, and the stages that train it."""

    name: str
    what: str
    parameters: int
    trains_in: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    stages: list[PlannedStage]
    parts: list[PlannedPart]
    weights: str
    """Where the encoder's weights come from, or could come from; empty where there is nothing to tell."""


def plan(config: RunConfig, registry: Registry) -> Plan:
    """What `execute` would do, without doing it: stages, which are there already, parts and which of them train."""
    assembly = assemble(config, registry)
    base = locate(assembly)
    records = assembly.dataset.records("train")
    stages = []
    for name in stages_of(config):
        steps = optimizer_steps(getattr(config.base, name), len(records))
        stages.append(PlannedStage(f"base: {name}", f"{steps} steps, in {base.folder}", base.done(name)))
    if config.base.path:
        stages.append(PlannedStage("base", f"given: {config.base.path}", True))
    names = ", ".join(assembly.benchmarks)
    stages.append(
        PlannedStage(
            "evaluate before", names, all(answers_file(base, assembly, b).exists() for b in assembly.benchmarks)
        )
    )
    stages += _pairs(assembly, base, records)
    steps = optimizer_steps(config.train, len(records))
    noised = any(need.view == "noised" for need in assembly.objective.needs)
    shown = f" on {config.noise.asked}" if noised else ""
    stages.append(PlannedStage("post-train", f"{steps} steps of {config.objective.asked}{shown}", False))
    stages += [PlannedStage("evaluate after", names, False), PlannedStage("report", "report.html, .md, .json", False)]
    return Plan(stages, _parts(assembly, base), assembly.weights_told())


def _pairs(assembly: Assembly, base: Base, records: Sequence[Record]) -> list[PlannedStage]:
    gathering = Gathering(assembly, base, records, (), Silent())
    if not gathering.wanted:
        return []
    if assembly.config.pairs.path:
        return [PlannedStage("pairs", f"{len(gathering.given())} given in {assembly.config.pairs.path}", True)]
    order = gathering.order
    told = f"{len(order.requests)} requests, by {assembly.config.pairs.mode}, in {order.path}"
    return [PlannedStage("pairs", told, order.there)]


def _parts(assembly: Assembly, base: Base) -> list[PlannedPart]:
    config = assembly.config
    given = describe(base.model_folder).text_config if config.base.path else None
    with torch.device("meta"):
        encoder = assembly.make_encoder()
        llm = AutoModelForCausalLM.from_config(given or llm_config(config.llm))
        projector = assembly.make_projector(encoder.dim, llm.config.hidden_size)
    stages = [(f"base: {name}", parts_trained(name, getattr(config.base, name))) for name in stages_of(config)]
    last, lora = parts_trained("post-train", config.train), config.train.lora
    # With adapters the LLM's own weights stand still.
    stages.append(("post-train", tuple(part for part in last if not (lora.rank and part == "llm"))))

    def trains(part: str) -> tuple[str, ...]:
        return tuple(name for name, parts in stages if part in parts)

    def size(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    planned = [
        PlannedPart("encoder", config.encoder.component, size(encoder), trains("encoder")),
        PlannedPart("projector", config.projector.component, size(projector), trains("projector")),
        PlannedPart("llm", "of the base" if given else config.llm_name, size(llm), trains("llm")),
    ]
    if lora.rank:
        what = f"in the llm, of rank {lora.rank}"
        planned.append(PlannedPart("adapters", what, planned_size(lora, llm.config), ("post-train",)))
    return planned
