"""Phase one of the parser: the registry, the run preset and the names, from argv, YAML and defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spa3d.config.overrides import Arguments, scan
from spa3d.config.run_file import COMPONENTS, Block, RunFile
from spa3d.errors import ConfigError
from spa3d.registry.located_yaml import Keys
from spa3d.registry.registry import Registry, load_registry, missed

OPTIONS = ("config", "preset", "output", "plugin", "registry")
TOGGLES = {
    "blind": ("blind", True),
    "no-blind": ("blind", False),
    "cache": ("cache", True),
    "no-cache": ("cache", False),
}
SWITCHES = ("help", "version", "resume", "dry-run", "debug", *TOGGLES)


@dataclass(frozen=True)
class Choice:
    """A chosen name, where it was chosen, and what the file says about it."""

    kind: str
    name: str
    place: str
    block: Block

    @property
    def keys(self) -> Keys:
        """Where its settings stand; benchmarks are several, so theirs stand under their names."""
        return (self.kind, self.name) if self.kind == "benchmark" else (self.kind,)

    @property
    def whole(self) -> str:
        """What a fault is about that lies in no single setting of it."""
        return self.place if self.place.startswith("--") else f"{self.kind} {self.name!r} ({self.place})"


@dataclass(frozen=True)
class Request:
    """What phase one found out.

    Attributes:
        arguments: the command line as typed.
        file: the run.yaml of ``--config``.
        registry: what can be chosen.
        preset: the run preset; empty where an unknown one was asked for.
        components: the chosen components, benchmarks included.
        llm: the chosen LLM, if there is any.
        faults: what is wrong so far.

    """

    arguments: Arguments
    file: RunFile
    registry: Registry
    preset: str
    components: tuple[Choice, ...]
    llm: Choice | None
    faults: tuple[str, ...]


def read(argv: Sequence[str]) -> Request:
    """Phase one: the registry, the run preset, and the names."""
    typed = scan(["--help" if word == "-h" else word for word in argv], switches=SWITCHES, repeatable={"plugin"})
    path, registry = typed.value("config"), typed.value("registry")
    if path and not Path(path).is_file():
        raise ConfigError(f"--config {path}: there is no such file; a run's own config.yaml is one to begin with")
    file = RunFile(Path(path) if path else None)
    plugins = [*typed.values("plugin"), *file.plugins]
    choosing = _Choosing(typed, file, load_registry(Path(registry) if registry else None, plugins=plugins))
    preset = choosing.preset()
    components = [choosing.first(kind, file.components[kind]) for kind in COMPONENTS]
    return Request(
        typed,
        file,
        choosing.registry,
        preset,
        tuple(choice for choice in components if choice) + choosing.benchmarks(),
        choosing.first("llm", file.llm),
        faults=(*_strays(typed), *file.faults, *choosing.faults),
    )


def _strays(typed: Arguments) -> list[str]:
    empty = [f"--{option}: its value is empty" for option in OPTIONS if typed.value(option) == ""]
    words = [f"{word!r} is not expected here; a flag begins with -- and its value follows it" for word in typed.words]
    return typed.faults + words + empty


@dataclass
class _Choosing:
    """Names: the flag's, else the file's, else registry.yaml's default."""

    typed: Arguments
    file: RunFile
    registry: Registry
    faults: list[str] = field(default_factory=list)

    def first(self, kind: str, block: Block) -> Choice | None:
        """The choice for `kind`; values that the file sets go with the name that the file gives."""
        flag = self.typed.value(kind)
        if flag is not None:
            return Choice(kind, flag, f"--{kind} {flag}", block if block.name in ("", flag) else Block())
        if block.name:
            return Choice(kind, block.name, self.file.located.place(*block.keys), block)
        default = getattr(self.registry.manifest.defaults, kind)
        if default:
            return Choice(kind, default, self.registry.manifest.place("defaults", kind), block)
        self.faults.append(f"no {kind} is chosen, and registry.yaml has no default: give --{kind} NAME")
        return None

    def preset(self) -> str:
        """The run preset; empty where there is none of that name."""
        choice = self.first("preset", Block(self.file.preset, keys=("preset",)))
        presets = self.registry.manifest.presets.run
        if choice is None or choice.name in presets:
            return choice.name if choice else ""
        self.faults.append(f"{choice.place}: {missed('preset', choice.name, presets, 'tools/list run')}")
        return ""

    def benchmarks(self) -> tuple[Choice, ...]:
        """The benchmarks, in order; the file's values for one hold wherever its name comes from."""
        defaults = self.registry.manifest.defaults.benchmark
        flag = self.typed.value("benchmark")
        if flag is not None:
            places = [(name.strip(), f"--benchmark {flag}") for name in flag.split(",")]
        elif self.file.benchmarks:
            places = [(block.name, self.file.located.place(*block.keys)) for block in self.file.benchmarks]
        else:
            places = [(name, self.registry.manifest.place("defaults", "benchmark")) for name in defaults]
        chosen = dict(places)
        if len(chosen) < len(places):
            self.faults.append(f"{places[0][1]}: a benchmark is named twice")
        if not chosen:
            self.faults.append("no benchmark is chosen, and registry.yaml has no default: give --benchmark NAME,NAME")
        blocks = {block.name: block for block in self.file.benchmarks}
        return tuple(Choice("benchmark", name, place, blocks.get(name, Block())) for name, place in chosen.items())
