"""Settings that were given and would have no effect, because another one overrides them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spa3d.config.layers import Layers
from spa3d.config.settings import RunConfig
from spa3d.config.sources import Assignment
from spa3d.registry.located_yaml import Keys

STAGES: tuple[tuple[str, ...], ...] = (
    *(("base", name) for name in ("encoder", "llm", "align", "instruct")),
    ("train",),
)
SHAPE = ("hidden_size", "layers", "heads", "intermediate_size", "vocab_size")
"""Settings of a fresh LLM."""


@dataclass(frozen=True)
class ExplicitSettings:
    """The settings that sources set: keys to the number of the strongest such source.

    Attributes:
        sources: of every setting.
        flags: of those that were set one by one, as a flag does; a whole file also repeats what has no effect.

    """

    sources: dict[Keys, int] = field(default_factory=dict)
    flags: dict[Keys, int] = field(default_factory=dict)

    def add(self, assignment: Assignment, source: int) -> None:
        """Add the settings of an assignment."""
        for keys in _list_leaves(assignment.keys, assignment.value):
            self.sources[keys] = source
            if assignment.dotted:
                self.flags[keys] = source


def idle_errors(config: RunConfig, explicit: ExplicitSettings, layers: Layers) -> list[str]:
    """Errors of settings without effect.

    Args:
        config: the complete configuration.
        explicit: the settings that were given, not those of a preset.
        layers: locations of the settings.

    """
    reasons = {**_overridden_epochs(config, explicit, layers), **_overridden_flags(config, explicit)}
    return [f"{layers.location(keys)}: it would have no effect, because {reason}" for keys, reason in reasons.items()]


def _overridden_epochs(config: RunConfig, explicit: ExplicitSettings, layers: Layers) -> dict[Keys, str]:
    """Epochs of stages whose steps are set by a weaker source or by the same flags."""
    reasons: dict[Keys, str] = {}
    for stage in STAGES:
        settings: Any = config
        for name in stage:
            settings = getattr(settings, name)
        epochs, steps = (*stage, "epochs"), (*stage, "steps")
        if not settings.steps or epochs not in explicit.sources:
            continue
        both = epochs in explicit.flags and explicit.flags[epochs] == explicit.flags.get(steps)
        if both or explicit.sources[epochs] > explicit.sources.get(steps, -1):
            name = ".".join(steps)
            reasons[epochs] = f"{name} is {settings.steps} ({layers.location(steps)}); add --{name} 0, or leave it out"
    return reasons


def _overridden_flags(config: RunConfig, explicit: ExplicitSettings) -> dict[Keys, str]:
    reasons: dict[Keys, str] = {}
    for keys in explicit.flags:
        block, name = keys[0], str(keys[-1])
        if config.base.path and (block == "llm" or (block == "base" and name != "path")):
            reasons[keys] = f"--base {config.base.path} is a finished 3D LLM; leave it out"
        elif config.llm.path and block == "llm" and name in SHAPE:
            reasons[keys] = f"the LLM is that of {config.llm.path}; leave it out"
        elif block == "evaluate" and name.startswith("contrast_") and config.evaluate.decode != "contrast":
            reasons[keys] = "answers are not contrasted; add --evaluate.decode contrast, or leave it out"
        elif keys == ("evaluate", "decode") and config.blind and config.evaluate.decode == "contrast":
            reasons[keys] = "--blind shows no cloud; leave it out"
        elif keys[:2] == ("train", "lora") and name != "rank" and not config.train.lora.rank:
            reasons[keys] = "there are no adapters; add --train.lora.rank, or leave it out"
    return reasons


def _list_leaves(keys: Keys, value: Any) -> Iterator[Keys]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _list_leaves((*keys, key), inner)
    else:
        yield keys
