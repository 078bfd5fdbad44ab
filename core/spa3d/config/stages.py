"""Stages of a base and of post-training: their order, the parts they train, their steps."""

from __future__ import annotations

import math
from typing import Literal

from spa3d.config.settings import Part, RunConfig, StageSettings

StageName = Literal["encoder", "llm", "align", "instruct"]


DEFAULT_PARTS: dict[str, tuple[Part, ...]] = {
    "encoder": ("encoder",),
    "llm": ("llm",),
    "align": ("projector",),
    "instruct": ("projector", "llm"),
    "post-train": ("projector", "llm"),
}
"""Parts that each stage trains by default."""


def trained_parts(stage: str, settings: StageSettings) -> tuple[Part, ...]:
    """The parts that train in `stage`; all other parts are frozen and in eval mode."""
    return settings.train or DEFAULT_PARTS[stage]


def stages_of(config: RunConfig) -> list[StageName]:
    """The stages that build the base, in order; empty if the base is a given folder."""
    if config.base.path:
        return []
    stages: list[StageName] = [] if config.blind or config.encoder.checkpoint else ["encoder"]
    stages += [] if config.llm.path else ["llm"]
    stages += [] if config.blind else ["align"]
    return [name for name in (*stages, "instruct") if _is_wanted(getattr(config.base, name))]


def _is_wanted(settings: StageSettings) -> bool:
    return bool(settings.steps or settings.epochs)


def optimizer_steps(settings: StageSettings, records: int) -> int:
    """Steps of a stage: as configured, or as many as its epochs need; 0 if it is left out."""
    if not _is_wanted(settings):
        return 0
    return settings.steps or max(1, math.ceil(settings.epochs * records / settings.batch_size))
