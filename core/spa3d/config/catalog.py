"""Catalog of components and presets with their status, and explanations of single entries.

Components are imported only for a check or for an explanation.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from spa3d.errors import PluginError, RegistryError, describe_unknown
from spa3d.ops.selection import REFERENCE, create_backend, find_available
from spa3d.registry.component import Component
from spa3d.registry.fields import describe, describe_error, errors_of, show, show_default
from spa3d.registry.kinds import CHECKPOINT, CHOSEN_ONCE, CHOSEN_SEVERAL, KINDS, kind_spec
from spa3d.registry.manifest import PresetRow, RunPreset
from spa3d.registry.registry import Registry

SECTIONS = (*KINDS, "llm", "run")
"""Kinds of components, then the two sections that have presets only: LLMs and whole runs."""
READY, IMPORTS, WORKS, UNAVAILABLE, BROKEN = "ready", "imports", "works", "unavailable", "broken"


@dataclass(frozen=True)
class Status:
    """Status of an entry on this machine.

    ``ready`` (not imported yet), ``imports`` (imported without an error), ``works`` (a backend whose results are
    correct), ``unavailable`` (a requirement is missing) or ``broken``.
    """

    word: str
    cause: str = ""

    def __str__(self) -> str:
        return f"{self.word}: {self.cause}" if self.cause else self.word


@dataclass(frozen=True)
class Entry:
    """A component or preset that can be chosen by name.

    Attributes:
        section: one of ``SECTIONS``.
        name: name that the user types.
        summary: one line.
        origin: built-in, or distribution and version, or the file of a ``--plugin``.
        status: whether it works on this machine.
        default: whether it is used when nothing is chosen.
        preset_of: the component that a preset configures; empty for a component.
        component: the row of the component, or of the preset's component; None for presets of LLMs and runs.

    """

    section: str
    name: str
    summary: str
    origin: str
    status: Status
    default: bool
    preset_of: str = ""
    component: Component | None = None


@dataclass(frozen=True)
class FieldEntry:
    """One field of a Config in words; for a preset, `default` is the preset's value."""

    name: str
    type: str
    default: str
    description: str


@dataclass(frozen=True)
class Explanation:
    """Explanation of one name: facts in reading order, then the fields of its Config."""

    section: str
    name: str
    facts: Mapping[str, str]
    fields: tuple[FieldEntry, ...] = ()


def catalog(registry: Registry, sections: tuple[str, ...] = SECTIONS, *, check: bool = False) -> list[Entry]:
    """List components, each with its presets; `check` imports and validates them."""
    return [entry for section in sections for entry in _list_section(registry, section, check=check)]


def explain(registry: Registry, name: str, section: str | None = None) -> list[Explanation]:
    """Explain every entry called `name`, broken plugins included; imports components.

    Raises:
        RegistryError: no entry has that name.

    """
    entries = catalog(registry, SECTIONS if section is None else (section,))
    explanations = [_explain(registry, entry) for entry in entries if entry.name == name]
    if section is None:
        explanations += [
            Explanation("plugin", name, {"origin": plugin.origin.owner, "status": str(Status(BROKEN, plugin.cause))})
            for plugin in registry.broken
            if name in (plugin.origin.plugin, plugin.origin.distribution)
        ]
    if not explanations:
        raise RegistryError(
            describe_unknown(section or "component or preset", name, sorted({entry.name for entry in entries}))
        )
    return explanations


def _list_section(registry: Registry, section: str, *, check: bool) -> Iterator[Entry]:
    if section not in KINDS:
        yield from _list_presets(registry, section, check=check)
        return
    states = {row.name: _find_status(registry, row, check=check) for row in registry.components(section)}
    defaults = _find_defaults(
        registry, section, broken=[name for name, (status, _) in states.items() if status.word == BROKEN]
    )
    for row in registry.components(section):
        origin = str(registry.origin(row))
        status, target = states[row.name]
        yield Entry(section, row.name, row.summary, origin, status, row.name in defaults, "", row)
        for name, preset in registry.manifest.presets.of_kind(section).items():
            if preset.component == row.name:
                fits = _find_preset_status(status, target, preset)
                preset_origin = str(registry.preset_origin(section, name))
                yield Entry(section, name, preset.summary, preset_origin, fits, name in defaults, row.name, row)


def _list_presets(registry: Registry, section: str, *, check: bool) -> Iterator[Entry]:
    """List the presets of LLMs or runs."""
    presets: Mapping[str, Any] = getattr(registry.manifest.presets, section)
    defaults = _find_defaults(registry, section)
    for name, preset in presets.items():
        status = _check_preset(section, name, preset) if check else Status(READY)
        origin = str(registry.preset_origin(section, name))
        yield Entry(section, name, preset.summary, origin, status, name in defaults)


def _check_preset(section: str, name: str, preset: Any) -> Status:
    """Validate the settings of a preset of an LLM or of a whole run."""
    from spa3d.config.settings import LLMSettings  # takes 0.1 s, only needed for a check

    error = _find_run_preset_error(name, preset) if section == "run" else _find_config_error(LLMSettings, preset.config)
    return Status(BROKEN, error) if error else Status(IMPORTS)


def _find_defaults(registry: Registry, section: str, *, broken: Collection[str] = ()) -> tuple[str, ...]:
    """The names used when nothing is chosen; for the point operations, those of all devices."""
    if section in KINDS and kind_spec(section).choice == "per device":
        return tuple(automatic_backends(registry, broken=broken).values())
    return registry.manifest.defaults.names("preset" if section == "run" else section)


def automatic_backends(registry: Registry, *, broken: Collection[str] = ()) -> dict[str, str]:
    """The backend that ``--ops auto`` uses per type of device; backends in `broken` are skipped."""
    return {device: find_available(registry, device, broken=broken) for device in registry.manifest.defaults.backends}


def _find_status(registry: Registry, row: Component, *, check: bool) -> tuple[Status, Any]:
    """Find the status of a component, and its class if it was imported."""
    missing = registry.describe_unmet(row)
    if missing:
        return Status(UNAVAILABLE, missing), None
    if not check:
        return Status(READY), None
    try:
        target = registry.target(row)
        verifiable = row.kind == "ops" and REFERENCE in registry.names("ops")
        return _try_backend(row.name, registry) if verifiable else Status(IMPORTS), target
    except PluginError as error:
        return Status(BROKEN, str(error)), None


def _try_backend(name: str, registry: Registry) -> Status:
    from spa3d.ops.verification import verify_backend  # imports torch, only needed for a check

    backend = create_backend(registry, name)
    devices = verify_backend(backend, registry)
    return Status(WORKS, devices) if devices else Status(IMPORTS, f"it is for {', '.join(backend.devices)}, not here")


def _find_preset_status(component: Status, target: Any, preset: PresetRow) -> Status:
    """Find the status of a preset: its component's, or broken if a value of it is invalid."""
    error = "" if target is None else _find_config_error(target.Config, preset.config)
    return Status(BROKEN, error) if error else component


def _find_run_preset_error(name: str, preset: RunPreset) -> str:
    """Validate the settings of a run preset, and those for each objective, against `RunConfig`."""
    from spa3d.config.settings import RunConfig

    stub: dict[str, Any] = {kind: {"requested": kind, "component": kind} for kind in CHOSEN_ONCE}
    stub |= {kind: [] for kind in CHOSEN_SEVERAL} | {"preset": name, **preset.settings}
    trains = [preset.settings.get("train", {}), *preset.objectives.values()]
    errors = [_find_config_error(RunConfig, {**stub, "train": train}) for train in trains]
    return "; ".join(dict.fromkeys(filter(None, errors)))


def _find_config_error(model: type[BaseModel], values: Mapping[str, Any]) -> str:
    try:
        model.model_validate(dict(values))
    except ValidationError as error:
        errors = [each for each in errors_of(error) if each["type"] != "missing"]
        return "; ".join(f"{'.'.join(map(str, each['loc']))}: {describe_error(model, each)}" for each in errors)
    return ""


def _explain(registry: Registry, entry: Entry) -> Explanation:
    manifest, section = registry.manifest, entry.section
    facts = {"summary": entry.summary}
    if entry.component and not entry.preset_of:
        origin = registry.origin(entry.component)
    else:
        origin, location = registry.preset_origin(section, entry.name), manifest.where("presets", section, entry.name)
        facts["set in"] = "" if location == origin.owner else location
    if entry.component is None:
        preset = getattr(manifest.presets, section)[entry.name]
        facts |= _flatten(preset.model_dump(exclude={"summary"}, exclude_defaults=True))
        return Explanation(section, entry.name, {key: text for key, text in facts.items() if text})
    row, values, weights, points = entry.component, {}, None, {}
    if entry.preset_of:
        preset = manifest.presets.of_kind(section)[entry.name]
        values, weights, points = preset.config, preset.weights, preset.points
    status, target = _find_status(registry, row, check=True)
    facts |= {"preset of": entry.preset_of, "origin": origin.owner, "status": str(status)}
    facts |= {"target": row.target, "file": _find_source(target) if target else ""}
    facts |= {"source": row.source, "license": row.license, "requires": ", ".join(row.requires)}
    facts |= {"one of the programs": ", ".join(row.programs), "install": row.install}
    facts |= _flatten(points, "--points.")
    facts |= {f"weights: {key}": text for key, text in weights or ()}
    if kind_spec(section).has_weights:
        facts[f"--{section}.{CHECKPOINT}"] = _describe_checkpoint()
    fields = tuple(_list_fields(target.Config, values)) if target else ()
    return Explanation(section, entry.name, {key: text for key, text in facts.items() if text}, fields)


def _describe_checkpoint() -> str:
    from spa3d.config.settings import EncoderSelection

    return EncoderSelection.model_fields[CHECKPOINT].description or ""


def _find_source(target: type[Any]) -> str:
    """Find ``file:line`` of a class."""
    return f"{inspect.getsourcefile(target)}:{inspect.getsourcelines(target)[1]}"


def _list_fields(model: type[BaseModel], values: Mapping[str, Any]) -> Iterator[FieldEntry]:
    for name, field in model.model_fields.items():
        default = show(values[name]) if name in values else show_default(field)
        yield FieldEntry(name, describe(field), default, field.description or "")


def _flatten(values: Mapping[str, Any], start: str = "") -> dict[str, str]:
    """Flatten nested settings: ``{"train": {"steps": 3}}`` to ``{"train.steps": "3"}``."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{start}{key}.") if isinstance(value, Mapping) else {f"{start}{key}": show(value)}
    return flat
