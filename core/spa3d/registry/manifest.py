"""registry.yaml: what ships with spa3d (plugins to load, component rows, defaults, presets), checked and located."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, PrivateAttr, ValidationError, create_model

from spa3d.errors import RegistryError
from spa3d.registry.component import NAME, Component
from spa3d.registry.kinds import KINDS, SPECS, KindSpec
from spa3d.registry.located_yaml import Located, read_located

VARIABLE = "SPA3D_REGISTRY"
FILE = "registry.yaml"
OPS = "ops"


def _kind(value: str) -> str:
    if value not in KINDS:
        raise ValueError(f"no kind of component; kinds: {', '.join(KINDS)}")
    return value


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("no name; a name is lower-case letters, digits and hyphens, and begins with a letter")
    return value


Kind = Annotated[str, AfterValidator(_kind)]
Name = Annotated[str, AfterValidator(_name)]
Scalar = bool | int | float | str
Axis = Literal["objectives", "noises", "levels", "pair-modes", "encoders", "learning-rates"]
Budget = Literal["steps", "samples", "compute"]


class Entry(BaseModel):
    """Frozen; unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


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


class Weights(Entry):
    """Where published weights of a preset can be had. Nothing is downloaded: messages and ``--why`` tell it."""

    file: str
    layout: str = ""
    url: str = ""
    license: str = ""


class Preset(Entry):
    """A named configuration of a component; `points` are settings of a run that an encoder's clouds should have."""

    component: Name
    summary: str = ""
    config: dict[str, Any] = {}
    points: dict[str, Any] = {}
    weights: Weights | None = None


class LLMPreset(Entry):
    """A named setting of the LLM."""

    summary: str = ""
    config: dict[str, Any] = {}


class RunPreset(Entry):
    """Settings of a whole run. `settings` and `objectives` are partial; `RunConfig` checks them when they are used."""

    summary: str = ""
    default_presets: dict[Kind, dict[Name, Name]] = {}
    settings: dict[str, Any] = {}
    objectives: dict[Name, dict[str, Any]] = {}


class CompareRow(Entry):
    """A row of a comparison: dotted run flags without dashes, and their values."""

    label: str = ""
    settings: dict[str, Scalar] = {}


class ComparePreset(Entry):
    """A named comparison: every one of its rows with every combination of its axes.

    `paper` holds what a paper prints in a table of the same form, ``{row: {column: figure}}``, and `caption` which.
    """

    summary: str = ""
    rows: tuple[CompareRow, ...] = ()
    axes: dict[Axis, tuple[Scalar, ...]] = {}
    seeds: tuple[int, ...] = (0, 1, 2)
    budget: Budget = "steps"
    caption: str = ""
    paper: dict[str, dict[str, float]] = {}


class Plugins(Entry):
    """Modules that are loaded as built-in plugins, and names of plugins that never are."""

    load: tuple[str, ...] = ()
    block: tuple[str, ...] = ()


def _with_fields(**fields: tuple[Any, Any]) -> Callable[[type[Model]], type[Model]]:
    """Decorator that adds fields to a model: name to (annotation, default)."""

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
"""What a default is, by how many components of a kind a run takes: a name, names, names to try by type of device."""


@_with_fields(**{spec.name: DEFAULTS[spec.choice] for spec in SPECS if spec.choice in DEFAULTS})
class Defaults(Entry):
    """Names taken where neither flag nor YAML names anything; a field per kind that a run takes."""

    preset: str = ""
    llm: str = ""

    @property
    def backends(self) -> dict[str, tuple[str, ...]]:
        """Backends that ``--ops auto`` tries, in order, by type of device."""
        backends: dict[str, tuple[str, ...]] = getattr(self, OPS)
        return backends

    def names(self, kind: str) -> tuple[str, ...]:
        """Names of components, or of the run preset or LLM, that are taken for `kind`; no backends."""
        default = getattr(self, kind, ())
        return ((default,) if default else ()) if isinstance(default, str) else tuple(default)


@_with_fields(**{kind: (dict[Name, Preset], {}) for kind in KINDS})
class Presets(Entry):
    """Presets of the LLM, of runs, of comparisons; and a field per kind of component."""

    llm: dict[Name, LLMPreset] = {}
    run: dict[Name, RunPreset] = {}
    compare: dict[Name, ComparePreset] = {}

    def of(self, kind: str) -> dict[str, Preset]:
        """The presets of a kind of component."""
        presets: dict[str, Preset] = getattr(self, kind)
        return presets


class Manifest(Entry):
    """A registry.yaml that holds together."""

    version: Literal[1]
    plugins: Plugins = Plugins()
    components: dict[Kind, dict[Name, Row]] = {}
    defaults: Defaults = Defaults()
    presets: Presets = Presets()
    _source: Located = PrivateAttr()

    def location(self, *keys: str | int) -> str:
        """``file:line key.of.it`` of what stands under `keys`."""
        return self._source.location(*keys)

    def rows(self) -> Iterable[Component]:
        """The rows of the built-in components."""
        for kind, rows in self.components.items():
            for name, row in rows.items():
                yield Component(kind, name, **dict(row))

    def inconsistencies(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What does not fit together, as (keys, error): a preset without its component, a name that is not there."""
        for spec in SPECS:
            yield from self._preset_errors(spec)
            yield from self._run_preset_errors(spec)
        for device, names in self.defaults.backends.items():
            for number, name in enumerate(names):
                if name not in self.components.get(OPS, {}):
                    yield ("defaults", OPS, device, str(number)), f"no ops {name!r} among the components of this file"

    def _preset_errors(self, spec: KindSpec) -> Iterator[tuple[tuple[str, ...], str]]:
        kind, rows = spec.name, self.components.get(spec.name, {})
        for name, preset in self.presets.of(kind).items():
            if name in rows:
                yield ("presets", kind, name), f"{kind} {name!r} is also a component; rename one of them"
            if preset.points and not spec.prepares_clouds:
                yield ("presets", kind, name, "points"), "only an encoder's preset says how clouds are prepared"
            if preset.component not in rows:
                keys = ("presets", kind, name, "component")
                yield keys, f"no {kind} {preset.component!r} among the components of this file"

    def _run_preset_errors(self, spec: KindSpec) -> Iterator[tuple[tuple[str, ...], str]]:
        kind = spec.name
        known = {*self.components.get(kind, {}), *self.presets.of(kind)}
        for run, preset in self.presets.run.items():
            if kind in preset.settings:
                yield (
                    ("presets", "run", run, "settings", kind),
                    "a run preset chooses no component; use default_presets",
                )
            for bare, name in preset.default_presets.get(kind, {}).items():
                if name not in known:
                    yield ("presets", "run", run, "default_presets", kind, bare), f"no {kind} {name!r} in this file"


def find_manifest(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The registry.yaml to use: `path`, ``$SPA3D_REGISTRY``, the checkout's, the packaged copy.

    Raises:
        RegistryError: where the file that was asked for is not there.

    """
    requested = [("--registry", path)] if path else []
    if environ.get(VARIABLE):
        requested.append((f"${VARIABLE}", Path(environ[VARIABLE])))
    for origin, file in requested:
        if not file.is_file():
            raise RegistryError(
                f"{origin} {file}: no such file; leave {origin} out to use the registry.yaml that ships"
            )
        return file
    package = Path(__file__).parents[1]
    checkout = package.parents[1]
    if package.parent.name == "core" and (checkout / "pyproject.toml").is_file() and (checkout / FILE).is_file():
        return checkout / FILE
    return package / FILE


def load_manifest(path: Path) -> Manifest:
    """Read and check a registry.yaml.

    Raises:
        RegistryError: with file and line of every error.

    """
    located = read_located(path, RegistryError)
    try:
        manifest = Manifest.model_validate(located.values)
    except ValidationError as error:
        raise RegistryError("\n".join(_describe_error(located, each) for each in error.errors())) from error
    errors = [f"{located.location(*keys)}: {error}" for keys, error in manifest.inconsistencies()]
    if errors:
        raise RegistryError("\n".join(errors))
    manifest._source = located
    return manifest


def _describe_error(located: Located, error: Any) -> str:
    """One of pydantic's errors with file and line."""
    keys = tuple(key for key in error["loc"] if key != "[key]")
    text = {
        "extra_forbidden": "unknown key",
        "missing": "is missing",
        "literal_error": "this spa3d reads version 1",
    }.get(error["type"], error["msg"].removeprefix("Value error, ").replace("Input should be", "must be"))
    return f"{located.location(*keys)}: {text}"


def weights_source(manifest: Manifest, preset: str) -> str:
    """Which file holds the weights of an encoder's preset, and where it is had; empty where none are published."""
    found = manifest.presets.of("encoder").get(preset)
    if found is None or found.weights is None:
        return ""
    source = f", from {found.weights.url}" if found.weights.url else ""
    return f"the published weights of {preset} are {found.weights.file}{source}"
