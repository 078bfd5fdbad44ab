"""Sources of settings: chosen names and values, each with its location.

A source is a mapping with the keys of the ``config.yaml`` that a run saves, so a saved file can be used again. A
component can be written in three ways::

    encoder: pointnext
    encoder: {name: pointnext, width: 32}
    encoder: {requested: pointnext, component: pointnext, preset: pointnext-tiny, config: {width: 32}}   # as saved

The `checkpoint` of an encoder is written beside its fields, in a saved file beside its `config`. Keys may also be
dotted, like flags: ``noise.level``, ``benchmark.choice.limit``, ``train.learning-rate``. Dotted keys override blocks,
and their text values are parsed like the values of flags.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from spa3d.config.layers import Location
from spa3d.registry.kinds import CHOSEN_ONCE, CHOSEN_SEVERAL
from spa3d.registry.located_yaml import Keys

BLOCKS = ("llm", "points", "base", "pairs", "train", "evaluate")
PLAIN = ("seed", "device", "threads", "dtype", "ops", "cache-limit-gb", "on-bad-data")
SAVED = {"requested", "component", "preset", "config"}
CHECKPOINT = ("encoder", "checkpoint")


@dataclass(frozen=True)
class Name:
    """A name that a source chooses; `component` is its component in a saved configuration."""

    name: str
    location: str
    component: str = ""


@dataclass(frozen=True)
class Assignment:
    """A value, or a block of values, for the setting at `keys`.

    Attributes:
        keys: the setting, from the top of the configuration.
        value: its value; a mapping is merged into the existing block.
        location: returns the location of a value inside it, given its keys relative to `keys`.
        dotted: whether its key is dotted. Then a text is parsed like the value of a flag, and a component that is not
            chosen is an error.

    """

    keys: Keys
    value: Any
    location: Location
    dotted: bool = False


@dataclass(frozen=True)
class Source:
    """The content of one source of settings.

    Attributes:
        names: the chosen names by kind, those of the run preset and the LLM included.
        several: the chosen names of kinds of which a run takes several; kinds without a choice are left out.
        plugins: the unpackaged plugins to load.
        assignments: the values it sets; later ones override earlier ones.
        errors: errors in the source itself.
        registry: the file whose rows are added to registry.yaml; empty: none.

    """

    names: Mapping[str, Name]
    several: Mapping[str, tuple[Name, ...]] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    errors: tuple[str, ...] = ()
    registry: str = ""

    def drop_kind(self, kind: str) -> Source:
        """A copy without the chosen name and the settings of one kind of component."""
        names = {key: name for key, name in self.names.items() if key != kind}
        assignments = tuple(each for each in self.assignments if each.keys[:1] != (kind,))
        return replace(self, names=names, assignments=assignments)

    def select(self, kinds: Container[str], settings: Container[str]) -> Source:
        """A copy with the run preset, components of some kinds and some other settings alone.

        Args:
            kinds: of components, such as ``dataset``.
            settings: first keys of other settings, such as ``evaluate``.

        """
        assignments = []
        for each in self.assignments:
            if not each.keys and isinstance(each.value, Mapping):
                kept = {key: value for key, value in each.value.items() if key in settings}
                assignments += [replace(each, value=kept)] if kept else []
            elif each.keys and (each.keys[0] in kinds or each.keys[0] in settings):
                assignments.append(each)
        return replace(
            self,
            names={key: name for key, name in self.names.items() if key in kinds or key == "preset"},
            several={key: names for key, names in self.several.items() if key in kinds},
            assignments=tuple(assignments),
        )


Settings = Mapping[str, Any] | Source
"""Settings from a caller: a mapping, or a `Source`."""


def read_source(settings: Settings, location: Callable[..., str] | None = None) -> Source:
    """Read a mapping of settings.

    Args:
        settings: nested or dotted keys and their values; a `Source` is returned as it is.
        location: returns the location of the value at some keys; by default the dotted key.

    """
    if isinstance(settings, Source):
        return settings
    return _Reader(location or _join_keys).source(settings)


def plugins_of(sources: Sequence[Source]) -> tuple[str, ...]:
    """The plugins of all `sources`, those of the strongest source first."""
    return tuple(dict.fromkeys(plugin for source in reversed(sources) for plugin in source.plugins))


def registry_of(sources: Sequence[Source]) -> str:
    """The added registry file of the strongest source that names one; empty: none."""
    return next((source.registry for source in reversed(sources) if source.registry), "")


def split_key(dotted: str) -> Keys:
    """Split a dotted key; hyphens become underscores, except in names of benchmarks."""
    head, *rest = dotted.split(".")
    names = 1 if head in CHOSEN_SEVERAL else 0
    return (head, *rest[:names], *(part.replace("-", "_") for part in rest[names:]))


def fixed_location(location: str) -> Location:
    """Make a `Location` that is the same for all keys."""
    return lambda rest: location


def _join_keys(*keys: str | int) -> str:
    return ".".join(map(str, keys))


class _Reader:
    """Reads a mapping of settings."""

    def __init__(self, location: Callable[..., str]) -> None:
        self.location = location
        self.names: dict[str, Name] = {}
        self.assignments: list[Assignment] = []
        self.errors: list[str] = []

    def source(self, settings: Mapping[str, Any]) -> Source:
        """Read the whole mapping."""
        rest = {key: value for key, value in settings.items() if "." not in key}
        self._choose("preset", self._read_text(rest.pop("preset", None), "preset"), ("preset",))
        plugins = self._read_texts(rest.pop("plugins", None), "plugins")
        registry = self._read_text(rest.pop("registry", None) or None, "registry")  # a saved file has an empty one
        blocks = {kind: rest.pop(kind, None) for kind in CHOSEN_ONCE}
        lists = {kind: rest.pop(kind, None) for kind in CHOSEN_SEVERAL}
        llm = rest.pop("llm", None)
        saved_llm = self._read_text(rest.pop("llm_name", None), "llm_name")
        if isinstance(rest.get("base"), str):
            rest["base"] = {"path": self._read_text(rest["base"], "base")}
        self._assign((), rest, ())
        for kind, block in blocks.items():
            self._read_block(kind, block)
        several = {kind: names for kind, value in lists.items() if (names := self._read_list(kind, value))}
        self._read_llm(llm, saved_llm)
        for key in (key for key in settings if "." in key):
            keys = split_key(key)
            self.assignments.append(Assignment(keys, settings[key], self._location_inside(keys), dotted=True))
        return Source(self.names, several, plugins, tuple(self.assignments), tuple(self.errors), registry)

    def _location_inside(self, keys: Keys) -> Location:
        return lambda rest: self.location(*keys, *rest)

    def _choose(self, kind: str, name: str, keys: Keys, component: str = "") -> None:
        if name:
            self.names[kind] = Name(name, self.location(*keys), component)

    def _assign(self, keys: Keys, values: Mapping[str, Any], at_keys: Keys) -> None:
        if values:
            self.assignments.append(Assignment(keys, values, self._location_inside(at_keys)))

    def _read_text(self, value: Any, *keys: str | int) -> str:
        if value is None or (isinstance(value, str) and value.strip()):
            return value or ""
        result = "an empty text; leave it out" if isinstance(value, str) else repr(value)
        self.errors.append(f"{self.location(*keys)}: expected a name, found {result}")
        return ""

    def _read_texts(self, value: Any, key: str) -> tuple[str, ...]:
        texts = [self._read_text(item, key, index) for index, item in enumerate(_list_items(value))]
        return tuple(text for text in texts if text)

    def _read_block(self, kind: str, value: Any) -> None:
        if kind == CHECKPOINT[0] and isinstance(value, Mapping):
            checkpoint = value.get(CHECKPOINT[1])
            value = {key: inner for key, inner in value.items() if key != CHECKPOINT[1]}
            if checkpoint is not None:
                self.assignments.append(Assignment(CHECKPOINT, checkpoint, fixed_location(self.location(*CHECKPOINT))))
        name, values, keys = self._read_named(value, (kind,))
        self._choose(kind, name.name, keys, name.component)
        self._assign((kind,), values, keys)

    def _read_list(self, kind: str, value: Any) -> tuple[Name, ...]:
        chosen = []
        for index, item in enumerate(value.split(",") if isinstance(value, str) else _list_items(value)):
            keys: Keys = (kind,) if isinstance(value, str) else (kind, index)
            name, values, keys = self._read_named(item.strip() if isinstance(item, str) else item, keys)
            if name.name:
                chosen.append(name)
                self._assign((kind, name.name), values, keys)
            elif not isinstance(item, str):
                location = self.location(kind, index)
                self.errors.append(f"{location}: no {kind} is named; write a name or {{name: …}}")
        return tuple(chosen)

    def _read_llm(self, value: Any, saved_name: str) -> None:
        name, values, keys = self._read_named(value, ("llm",))
        self._choose("llm", saved_name or name.name, keys)
        self._assign(("llm",), values, keys)

    def _read_named(self, value: Any, keys: Keys) -> tuple[Name, Mapping[str, Any], Keys]:
        """Read the name in a block, its values, and the keys of these values."""
        if not isinstance(value, Mapping):
            return Name(self._read_text(value, *keys), self.location(*keys)), {}, keys
        if "requested" in value or "component" in value:
            return self._read_saved(value, keys)
        values = {key: inner for key, inner in value.items() if key != "name"}
        return Name(self._read_text(value.get("name"), *keys, "name"), self.location(*keys)), values, keys

    def _read_saved(self, value: Mapping[str, Any], keys: Keys) -> tuple[Name, Mapping[str, Any], Keys]:
        for key in sorted(value.keys() - SAVED):
            self.errors.append(f"{self.location(*keys, key)}: no such key beside {', '.join(sorted(SAVED))}")
        component = self._read_text(value.get("component"), *keys, "component")
        values = value.get("config") or {}
        if not isinstance(values, Mapping):
            self.errors.append(f"{self.location(*keys, 'config')}: expected a block of fields, found {values!r}")
            values = {}
        requested = self._read_text(value.get("requested"), *keys, "requested")
        keys = (*keys, "config")
        return Name(requested or component, self.location(*keys), component), values, keys


def _list_items(value: Any) -> Iterable[Any]:
    if isinstance(value, (list, tuple)):
        return value
    return [] if value is None else [value]
