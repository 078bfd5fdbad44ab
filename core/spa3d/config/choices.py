"""What settings choose: the run preset, the components, the benchmarks and the LLM, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spa3d.config.sources import Name, Source
from spa3d.registry.kinds import CHOSEN_ONCE, CHOSEN_SEVERAL, settings_keys
from spa3d.registry.located_yaml import Keys
from spa3d.registry.registry import Registry, missed


@dataclass(frozen=True)
class Choice:
    """A chosen name, where it was chosen, and what it stood for when it was saved, if it was."""

    kind: str
    name: str
    location: str
    saved_component: str = ""

    @property
    def keys(self) -> Keys:
        """Where its settings stand."""
        return settings_keys(self.kind, self.name)

    @property
    def whole(self) -> str:
        """What an error is about that lies in no single setting of it."""
        return self.location if self.location.startswith("--") else f"{self.kind} {self.name!r} ({self.location})"


@dataclass(frozen=True)
class Choices:
    """What is chosen.

    Attributes:
        sources: the settings that choose, the weakest first.
        registry: what can be chosen.
        preset: the run preset; empty where an unknown one was asked for.
        components: the chosen components, benchmarks included.
        llm: the chosen LLM, if there is any.
        errors: what is wrong so far.

    """

    sources: tuple[Source, ...]
    registry: Registry
    preset: str
    components: tuple[Choice, ...]
    llm: Choice | None
    errors: tuple[str, ...]


def choose(sources: Sequence[Source], registry: Registry) -> Choices:
    """Every name: the strongest source's, the last, else registry.yaml's default."""
    chooser = _Chooser(sources, registry)
    preset = chooser.preset()
    components = [choice for kind in CHOSEN_ONCE if (choice := chooser.last(kind))]
    components += [choice for kind in CHOSEN_SEVERAL for choice in chooser.several(kind)]
    llm = chooser.last("llm")
    found = [error for source in reversed(sources) for error in source.errors]
    return Choices(tuple(sources), registry, preset, tuple(components), llm, (*found, *chooser.errors))


class _Chooser:
    """Looks names up, and notes the errors on the way."""

    def __init__(self, sources: Sequence[Source], registry: Registry) -> None:
        self.sources, self.registry = sources, registry
        self.errors: list[str] = []

    def last(self, kind: str) -> Choice | None:
        """The choice for `kind`, if there is any."""
        named = [source.names[kind] for source in self.sources if kind in source.names]
        if named:
            return Choice(kind, named[-1].name, named[-1].location, named[-1].component)
        default = self.registry.manifest.defaults.names(kind)
        if default:
            return Choice(kind, default[0], self.registry.manifest.location("defaults", kind))
        self.errors.append(f"no {kind} is chosen, and registry.yaml has no default: give --{kind} NAME")
        return None

    def preset(self) -> str:
        """The run preset; empty where there is none of that name."""
        choice = self.last("preset")
        presets = self.registry.manifest.presets.run
        if choice is None or choice.name in presets:
            return choice.name if choice else ""
        self.errors.append(f"{choice.location}: {missed('preset', choice.name, presets, 'tools/list run')}")
        return ""

    def several(self, kind: str) -> tuple[Choice, ...]:
        """The components of a kind chosen several times, in order."""
        manifest = self.registry.manifest
        default = manifest.location("defaults", kind)
        defaults = tuple(Name(name, default) for name in manifest.defaults.names(kind))
        names = next((source.several[kind] for source in reversed(self.sources) if kind in source.several), defaults)
        chosen = {each.name: each for each in names}
        if len(chosen) < len(names):
            self.errors.append(f"{names[0].location}: a {kind} is named twice")
        if not chosen:
            self.errors.append(f"no {kind} is chosen, and registry.yaml has no default: give --{kind} NAME,NAME")
        return tuple(Choice(kind, each.name, each.location, each.component) for each in chosen.values())
