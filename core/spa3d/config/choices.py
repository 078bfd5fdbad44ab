"""Names that settings choose: run preset, components, benchmarks and LLM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spa3d.config.given_base import base_source
from spa3d.config.sources import Name, Source
from spa3d.registry.kinds import CHOSEN_ONCE, CHOSEN_SEVERAL, settings_keys
from spa3d.registry.located_yaml import Keys
from spa3d.registry.registry import Registry, describe_missing


@dataclass(frozen=True)
class Choice:
    """A chosen name with its location, and its component in a saved configuration."""

    kind: str
    name: str
    location: str
    saved_component: str = ""

    @property
    def keys(self) -> Keys:
        """Keys of its settings."""
        return settings_keys(self.kind, self.name)

    @property
    def error_location(self) -> str:
        """Location for errors that concern no single setting of it."""
        return self.location if self.location.startswith("--") else f"{self.kind} {self.name!r} ({self.location})"


@dataclass(frozen=True)
class Choices:
    """All chosen names, and the errors so far.

    Attributes:
        sources: the sources of settings, the weakest first.
        registry: components and presets that can be chosen.
        preset: the run preset; empty if the requested one is unknown.
        components: the chosen components, benchmarks included.
        llm: the chosen LLM; None if none is chosen.
        errors: errors found so far.

    """

    sources: tuple[Source, ...]
    registry: Registry
    preset: str
    components: tuple[Choice, ...]
    llm: Choice | None
    errors: tuple[str, ...]


def choose(sources: Sequence[Source], registry: Registry) -> Choices:
    """Choose every name: of the strongest source, ``--base``, or the defaults of registry.yaml."""
    base = base_source(sources)
    sources = sources if base is None else (base, *sources)
    chooser = _Chooser(sources, registry)
    preset = chooser.preset()
    components = [choice for kind in CHOSEN_ONCE if (choice := chooser.choose_one(kind))]
    components += [choice for kind in CHOSEN_SEVERAL for choice in chooser.choose_several(kind)]
    llm = chooser.choose_one("llm")
    source_errors = [error for source in reversed(sources) for error in source.errors]
    return Choices(tuple(sources), registry, preset, tuple(components), llm, (*source_errors, *chooser.errors))


class _Chooser:
    """Looks up names and collects errors."""

    def __init__(self, sources: Sequence[Source], registry: Registry) -> None:
        self.sources, self.registry = sources, registry
        self.errors: list[str] = []

    def choose_one(self, kind: str) -> Choice | None:
        """The choice for `kind`; None if there is none."""
        named = [source.names[kind] for source in self.sources if kind in source.names]
        if named:
            return Choice(kind, named[-1].name, named[-1].location, named[-1].component)
        default = self.registry.manifest.defaults.names(kind)
        if default:
            return Choice(kind, default[0], self.registry.manifest.location("defaults", kind))
        self.errors.append(f"no {kind} is chosen, and registry.yaml has no default: give --{kind} NAME")
        return None

    def preset(self) -> str:
        """The run preset; empty if there is none of that name."""
        choice = self.choose_one("preset")
        presets = self.registry.manifest.presets.run
        if choice is None or choice.name in presets:
            return choice.name if choice else ""
        self.errors.append(f"{choice.location}: {describe_missing('preset', choice.name, presets, 'tools/list run')}")
        return ""

    def choose_several(self, kind: str) -> tuple[Choice, ...]:
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
