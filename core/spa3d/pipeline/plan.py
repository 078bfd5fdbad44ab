"""The plan of a run, for ``--dry-run``: its stages and the parts of its model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM

from spa3d import ops
from spa3d.checkpoints.load import describe
from spa3d.config.settings import RunConfig
from spa3d.config.stages import stages_of, trained_parts
from spa3d.errors import contain_exit
from spa3d.model.adapters import planned_size
from spa3d.model.llm import llm_config
from spa3d.pipeline.open_run import open_run
from spa3d.pipeline.run import Run
from spa3d.pipeline.run_location import default_folder
from spa3d.pipeline.stages import flatten
from spa3d.registry.registry import Registry


@dataclass(frozen=True)
class PlannedStage:
    """A stage of the run; `done` if its result exists."""

    name: str
    detail: str
    done: bool


@dataclass(frozen=True)
class PlannedPart:
    """A part of the model, its size, and the stages that train it."""

    name: str
    what: str
    parameters: int
    trains_in: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The plan of a run: its stages, parts and encoder weights.

    Attributes:
        stages: its stages.
        parts: the parts of its model.
        weights: source of the encoder's weights, used or available; empty if there is none.

    """

    stages: list[PlannedStage]
    parts: list[PlannedPart]
    weights: str


@contain_exit()
def plan(config: RunConfig, registry: Registry) -> Plan:
    """Plan what `spa3d.pipeline.execute.execute` would do, without doing it."""
    run = open_run(config, registry, output=default_folder(config, time="new"), check_data=False)
    with ops.use(*run.execution.ops):
        stages = [PlannedStage(stage.name, stage.detail, stage.done()) for stage in flatten(run.stages())]
    return Plan(stages, _plan_parts(run), run.describe_weights())


def _plan_parts(run: Run) -> list[PlannedPart]:
    config = run.config
    saved_llm = describe(run.base.model_folder).text_config if config.base.path else None
    with torch.device("meta"):
        encoder = run.parts.make_encoder()
        llm = AutoModelForCausalLM.from_config(saved_llm or llm_config(config.llm), trust_remote_code=False)
        projector = run.parts.make_projector(encoder.dim, llm.get_input_embeddings().embedding_dim)
    stages = [(f"base: {name}", trained_parts(name, getattr(config.base, name))) for name in stages_of(config)]
    last, lora = trained_parts("post-train", config.train), config.train.lora
    # With adapters the LLM's own weights are frozen.
    stages.append(("post-train", tuple(part for part in last if not (lora.rank and part == "llm"))))

    def trains(part: str) -> tuple[str, ...]:
        return tuple(name for name, parts in stages if part in parts)

    def size(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    planned = [
        PlannedPart("encoder", config.encoder.component, size(encoder), trains("encoder")),
        PlannedPart("projector", config.projector.component, size(projector), trains("projector")),
        PlannedPart("llm", "of the base" if saved_llm else config.llm_name, size(llm), trains("llm")),
    ]
    if lora.rank:
        description = f"in the llm, of rank {lora.rank}"
        planned.append(PlannedPart("adapters", description, planned_size(lora, llm.config), ("post-train",)))
    return planned
