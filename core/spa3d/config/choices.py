"""What settings choose: the run preset, the components, the benchmarks and the LLM, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spa3d.config.sources import COMPONENTS, Name, Source
from spa3d.registry.located_yaml import Keys
from spa3d.registry.registry import Registry, missed


@dataclass(frozen=True)
class Choice:
    """A chosen name, where it was chosen, and what it stood for when it was saved, if it was."""

    kind: str
    name: str
    place: str
    saved_component: str = ""

    @property
    def keys(self) -> Keys:
        """Where its settings stand; benchmarks are several, so theirs stand under their names."""
        return (self.kind, self.name) if self.kind == "benchmark" else (self.kind,)

    @property
    def whole(self) -> str:
        """What an error is about that lies in no single setting of it."""
        return self.place if self.place.startswith("--") else f"{self.kind} {self.name!r} ({self.place})"


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
    components = [choice for kind in COMPONENTS if (choice := chooser.last(kind))]
    benchmarks, llm = chooser.benchmarks(), chooser.last("llm")
    found = [error for source in reversed(sources) for error in source.errors]
    return Choices(tuple(sources), registry, preset, (*components, *benchmarks), llm, (*found, *chooser.errors))


class _Chooser:
    """Looks names up, and notes the errors on the way."""

    def __init__(self, sources: Sequence[Source], registry: Registry) -> None:
        self.sources, self.registry = sources, registry
        self.errors: list[str] = []

    def last(self, kind: str) -> Choice | None:
        """The choice for `kind`, if there is any."""
        named = [source.names[kind] for source in self.sources if kind in source.names]
        if named:
            return Choice(kind, named[-1].name, named[-1].place, named[-1].component)
        default = getattr(self.registry.manifest.defaults, kind)
        if default:
            return Choice(kind, default, self.registry.manifest.place("defaults", kind))
        self.errors.append(f"no {kind} is chosen, and registry.yaml has no default: give --{kind} NAME")
        return None

    def preset(self) -> str:
        """The run preset; empty where there is none of that name."""
        choice = self.last("preset")
        presets = self.registry.manifest.presets.run
        if choice is None or choice.name in presets:
            return choice.name if choice else ""
        self.errors.append(f"{choice.place}: {missed('preset', choice.name, presets, 'tools/list run')}")
        return ""

    def benchmarks(self) -> tuple[Choice, ...]:
        """The benchmarks, in order."""
        default = self.registry.manifest.place("defaults", "benchmark")
        defaults = tuple(Name(name, default) for name in self.registry.manifest.defaults.benchmark)
        names = next((source.benchmarks for source in reversed(self.sources) if source.benchmarks), defaults)
        chosen = {each.name: each for each in names}
        if len(chosen) < len(names):
            self.errors.append(f"{names[0].place}: a benchmark is named twice")
        if not chosen:
            self.errors.append("no benchmark is chosen, and registry.yaml has no default: give --benchmark NAME,NAME")
        return tuple(Choice("benchmark", each.name, each.place, each.component) for each in chosen.values())
