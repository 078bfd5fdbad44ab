"""Model of registry.yaml: plugins to load, component rows, defaults and presets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, create_model, field_validator

from spa3d.registry.checked_values import refuse_conversion
from spa3d.registry.component import NAME, Component, Preset, Weights
from spa3d.registry.kinds import KINDS, SPECS, KindSpec
from spa3d.registry.located_yaml import Keys, LocatedContent

OPS = "ops"
Named = tuple[str, str]
"""Kind and name of a component or preset; for other presets ``llm``, ``run`` or ``compare`` and name."""


def _check_kind(value: str) -> str:
    if value not in KINDS:
        raise ValueError(f"no kind of component; kinds: {', '.join(KINDS)}")
    return value


def _check_name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("no name; a name is lower-case letters, digits and hyphens, with a letter before any hyphen")
    return value


Kind = Annotated[str, AfterValidator(_check_kind)]
Name = Annotated[str, AfterValidator(_check_name)]
Scalar = bool | int | float | str
Axis = Literal["objectives", "noises", "levels", "pair-modes", "encoders", "learning-rates"]
Budget = Literal["steps", "samples", "compute"]


class Entry(BaseModel):
    """Base of all entries: frozen, rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    _checked = field_validator("*", mode="before")(refuse_conversion)


Model = TypeVar("Model", bound=Entry)


class Row(Entry):
    """A built-in component; the fields are those of `spa3d.Component`."""

    target: str
    summary: str
    requires: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    source: str = ""
    license: str = ""
    install: str = ""


class WeightsRow(Entry):
    """Published weights of a preset; the fields are those of `spa3d.Weights`."""

    file: str
    layout: str = ""
    url: str = ""
    license: str = ""


class PresetRow(Entry):
    """A named configuration of a component; the fields are those of `spa3d.Preset`."""

    component: Name
    summary: str = ""
    config: dict[str, Any] = {}
    points: dict[str, Any] = {}
    weights: WeightsRow | None = None

    @classmethod
    def from_preset(cls, preset: Preset) -> Self:
        """Convert a plugin's preset to a row; raises pydantic's ValidationError if a value is wrong."""
        values = {name: getattr(preset, name) for name in cls.model_fields}
        if isinstance(preset.weights, Weights):
            values["weights"] = asdict(preset.weights)
        return cls.model_validate(values)

    def find_forbidden_field(self, spec: KindSpec) -> tuple[str, str] | None:
        """Find a field that presets of a kind may not have, and the reason; None if valid."""
        if self.points and not spec.prepares_clouds:
            return "points", "only an encoder's preset says how clouds are prepared"
        if self.weights and not spec.has_weights:
            return "weights", "only an encoder's preset has published weights"
        return None


class LLMPreset(Entry):
    """A named setting of the LLM."""

    summary: str = ""
    config: dict[str, Any] = {}


class RunPreset(Entry):
    """Settings of a whole run; `RunConfig` validates them when they are used."""

    summary: str = ""
    source: str = ""
    default_presets: dict[Kind, dict[Name, Name]] = {}
    settings: dict[str, Any] = {}
    objectives: dict[Name, dict[str, Any]] = {}


class CompareRow(Entry):
    """A row of a comparison: dotted run flags without dashes, and their values."""

    label: str = ""
    settings: dict[str, Scalar] = {}


class ComparePreset(Entry):
    """A named comparison: all of its rows with all combinations of its axes.

    `paper` has the figures of a paper's table of the same form, ``{row: {column: figure}}``; `caption` names the table.
    """

    summary: str = ""
    rows: tuple[CompareRow, ...] = ()
    axes: dict[Axis, tuple[Scalar, ...]] = {}
    seeds: tuple[Annotated[int, Field(ge=0, le=2**32 - 1)], ...] = (0, 1, 2)
    budget: Budget = "steps"
    caption: str = ""
    paper: dict[str, dict[str, float]] = {}


class Plugins(Entry):
    """Modules to load as built-in plugins, and names of plugins that are never loaded."""

    load: tuple[str, ...] = ()
    block: tuple[str, ...] = ()


def _add_fields(**fields: tuple[Any, Any]) -> Callable[[type[Model]], type[Model]]:
    """Make a decorator that adds fields to a model: name to (annotation, default)."""

    def extend(base: type[Model]) -> type[Model]:
        definitions: dict[str, Any] = fields
        return create_model(
            base.__name__, __base__=base, __module__=base.__module__, __doc__=base.__doc__, **definitions
        )

    return extend


DEFAULTS: dict[str, tuple[Any, Any]] = {
    "one": (str, ""),
    "several": (tuple[str, ...], ()),
    "per device": (dict[str, tuple[str, ...]], {}),
}
"""Type and empty value of a kind's default, by `KindSpec.choice`: a name, names, names by type of device."""


@_add_fields(**{spec.name: DEFAULTS[spec.choice] for spec in SPECS if spec.choice in DEFAULTS})
class Defaults(Entry):
    """Names used if neither flag nor YAML chooses one; a field per kind that a run takes."""

    preset: str = ""
    llm: str = ""

    @property
    def backends(self) -> dict[str, tuple[str, ...]]:
        """Backends that ``--ops auto`` tries, in order, by type of device."""
        backends: dict[str, tuple[str, ...]] = getattr(self, OPS)
        return backends

    def names(self, kind: str) -> tuple[str, ...]:
        """Default names of components, run preset or LLM; for backends see `backends`."""
        default = getattr(self, kind, ())
        return ((default,) if default else ()) if isinstance(default, str) else tuple(default)


@_add_fields(**{kind: (dict[Name, PresetRow], {}) for kind in KINDS})
class Presets(Entry):
    """Presets of LLMs, runs and comparisons, and a field per kind of component."""

    llm: dict[Name, LLMPreset] = {}
    run: dict[Name, RunPreset] = {}
    compare: dict[Name, ComparePreset] = {}

    def of_kind(self, kind: str) -> dict[str, PresetRow]:
        """The presets of a kind of component."""
        presets: dict[str, PresetRow] = getattr(self, kind)
        return presets

    def sections(self) -> dict[str, dict[str, Any]]:
        """All presets by kind, and those of LLMs, runs and comparisons."""
        return {section: getattr(self, section) for section in type(self).model_fields}

    def join(self, other: Mapping[str, Mapping[str, Any]]) -> Self:
        """A copy with added presets; the caller makes sure that no name occurs twice."""
        merged = {section: {**presets, **other.get(section, {})} for section, presets in self.sections().items()}
        return self.model_copy(update=merged)


class Manifest(Entry):
    """Content of a registry.yaml, with presets and defaults that another file and plugins add."""

    version: Literal[1]
    plugins: Plugins = Plugins()
    components: dict[Kind, dict[Name, Row]] = {}
    defaults: Defaults = Defaults()
    presets: Presets = Presets()
    _files: tuple[LocatedContent, ...] = PrivateAttr(default=())
    _owners: Mapping[Named, str] = PrivateAttr(default={})

    def read_from(self, *files: LocatedContent) -> Self:
        """A copy that locates its keys in `files`; for a key in several files the last one counts."""
        copy = self.model_copy()
        copy._files = files
        return copy

    @property
    def files(self) -> tuple[LocatedContent, ...]:
        """The registry.yaml, and the file added to it, if any."""
        return self._files

    def with_presets(self, presets: Mapping[Named, PresetRow], owners: Mapping[Named, str]) -> Self:
        """A copy with the presets of plugins; `owners` names the plugin of each."""
        sections: dict[str, dict[str, PresetRow]] = {}
        for (kind, name), row in presets.items():
            sections.setdefault(kind, {})[name] = row
        copy = self.model_copy(update={"presets": self.presets.join(sections)})
        copy._owners = {**self._owners, **owners}
        return copy

    def file(self, *keys: str | int) -> Path:
        """The file with `keys`, or with their longest prefix."""
        return self._find_file(keys).path

    def where(self, *keys: str | int) -> str:
        """``file:line`` of `keys`; for a plugin's preset the name of the plugin."""
        return self._find_owner(keys) or self._find_file(keys).where(*keys)

    def location(self, *keys: str | int) -> str:
        """``file:line dotted.key`` of `keys`, the beginning of a message."""
        return f"{self.where(*keys)} {'.'.join(map(str, keys))}"

    def rows(self) -> Iterable[Component]:
        """The rows of the components in the registry.yaml itself."""
        for kind, rows in self.components.items():
            for name, row in rows.items():
                yield Component(kind, name, **dict(row))

    def _find_owner(self, keys: Keys) -> str:
        return self._owners.get((str(keys[1]), str(keys[2])), "") if len(keys) > 2 and keys[0] == "presets" else ""

    def _find_file(self, keys: Keys) -> LocatedContent:
        return max(reversed(self._files), key=lambda file: file.depth(*keys))


def error_text(error: Any) -> str:
    """Describe one of pydantic's errors about a row, without its location."""
    if error["loc"] == ("version",) and error["type"] == "literal_error":
        return "this spa3d reads version 1"
    known = {"extra_forbidden": "unknown key", "missing": "is missing"}
    message: str = error["msg"]
    return known.get(error["type"], message.removeprefix("Value error, ").replace("Input should be", "must be"))


def weights_source(manifest: Manifest, preset: str) -> str:
    """Describe the published weights of an encoder's preset; empty if there are none."""
    row = manifest.presets.of_kind("encoder").get(preset)
    if row is None or row.weights is None:
        return ""
    source = f", from {row.weights.url}" if row.weights.url else ""
    return f"the published weights of {preset} are {row.weights.file}{source}"
