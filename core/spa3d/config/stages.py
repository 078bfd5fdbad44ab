"""Stages of a base and of post-training: which there are, what each trains, how many steps."""

from __future__ import annotations

import math
from typing import Literal

from spa3d.config.settings import Part, RunConfig, StageSettings

StageName = Literal["encoder", "llm", "align", "instruct"]


USUAL: dict[str, tuple[Part, ...]] = {
    "encoder": ("encoder",),
    "llm": ("llm",),
    "align": ("projector",),
    "instruct": ("projector", "llm"),
    "post-train": ("projector", "llm"),
}
"""The parts that each stage trains unless told otherwise."""


def parts_trained(stage: str, settings: StageSettings) -> tuple[Part, ...]:
    """The parts that train in `stage`; all others are frozen and stay in eval mode."""
    return settings.train or USUAL[stage]


def stages_of(config: RunConfig) -> list[StageName]:
    """The stages that make this base, in order."""
    if config.base.path:
        return []
    stages: list[StageName] = [] if config.blind or config.encoder.checkpoint else ["encoder"]
    stages += [] if config.llm.path else ["llm"]
    stages += [] if config.blind else ["align"]
    return [*stages, "instruct"]


def optimizer_steps(settings: StageSettings, records: int) -> int:
    """Steps of a stage: as configured, or as many as its epochs need."""
    return settings.steps or max(1, math.ceil(settings.epochs * records / settings.batch_size))
