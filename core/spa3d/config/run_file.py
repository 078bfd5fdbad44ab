"""run.yaml: the names it chooses, apart from the values it sets.

Its keys are those of the ``config.yaml`` that a run saves, so a saved one can be given back as it is. A component
may be written in three ways::

    encoder: pointnext
    encoder: {name: pointnext, width: 32}
    encoder: {asked: pointnext, component: pointnext, preset: pointnext-tiny, config: {width: 32}}   # as saved

The `checkpoint` of an encoder stands beside its fields, and in a saved one beside its `config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spa3d.errors import ConfigError
from spa3d.registry.located_yaml import Keys, Located, read_located

COMPONENTS = ("encoder", "projector", "noise", "objective", "dataset")
SAVED = {"asked", "component", "preset", "config"}
CHECKPOINT = ("encoder", "checkpoint")


@dataclass(frozen=True)
class Block:
    """What a file says about one component or the LLM.

    Attributes:
        name: the chosen name; empty where the file only sets values.
        values: the values it sets.
        keys: where these stand in the file.
        component: what the name stood for when the file was saved, if it was.
        checkpoint: where an encoder's weights come from; None where nothing is said.

    """

    name: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    keys: Keys = ()
    component: str = ""
    checkpoint: Any = None


class RunFile:
    """A run.yaml, read; without `path` it says nothing."""

    def __init__(self, path: Path | None = None) -> None:
        self.located = Located(Path(), {}, {}) if path is None else read_located(path, ConfigError)
        self.faults: list[str] = []
        rest = dict(self.located.values)
        self.preset = self._text(rest.pop("preset", None), "preset")
        self.plugins = self._texts(rest.pop("plugins", None), "plugins")
        self.components = {kind: self._block(rest.pop(kind, None), (kind,)) for kind in COMPONENTS}
        self.benchmarks = self._blocks(rest.pop("benchmark", None), "benchmark")
        self.llm = self._llm(rest.pop("llm", None), self._text(rest.pop("llm_name", None), "llm_name"))
        if isinstance(rest.get("base"), str):
            rest["base"] = {"path": rest["base"]}
        self.settings = rest

    def _text(self, value: Any, *keys: str | int) -> str:
        if value is None or isinstance(value, str):
            return value or ""
        self.faults.append(f"{self.located.place(*keys)}: expected a name, found {value!r}")
        return ""

    def _texts(self, value: Any, key: str) -> tuple[str, ...]:
        items = value if isinstance(value, list) else [] if value is None else [value]
        return tuple(self._text(item, key, index) for index, item in enumerate(items))

    def _block(self, value: Any, keys: Keys) -> Block:
        if not isinstance(value, dict):
            return Block(self._text(value, *keys), keys=keys)
        checkpoint = value.get("checkpoint") if keys == CHECKPOINT[:1] else None
        value = {key: inner for key, inner in value.items() if (*keys, key) != CHECKPOINT}
        if "asked" in value or "component" in value:
            return replace(self._saved(value, keys), checkpoint=checkpoint)
        name = self._text(value.pop("name", None), *keys, "name")
        return Block(name, value, keys, checkpoint=checkpoint)

    def _saved(self, value: dict[str, Any], keys: Keys) -> Block:
        for key in sorted(value.keys() - SAVED):
            self.faults.append(f"{self.located.place(*keys, key)}: no such key beside {', '.join(sorted(SAVED))}")
        component = self._text(value.get("component"), *keys, "component")
        values = value.get("config") or {}
        if not isinstance(values, dict):
            self.faults.append(f"{self.located.place(*keys, 'config')}: expected a block of fields, found {values!r}")
            values = {}
        asked = self._text(value.get("asked"), *keys, "asked")
        return Block(asked or component, values, (*keys, "config"), component)

    def _blocks(self, value: Any, key: str) -> list[Block]:
        if isinstance(value, str):
            return [Block(name.strip(), keys=(key,)) for name in value.split(",")]
        items = value if isinstance(value, list) else [] if value is None else [value]
        blocks = [self._block(item, (key, index)) for index, item in enumerate(items)]
        for index, block in enumerate(blocks):
            if not block.name:
                self.faults.append(f"{self.located.place(key, index)}: names no benchmark; write a name or {{name: …}}")
        return [block for block in blocks if block.name]

    def _llm(self, value: Any, saved_name: str) -> Block:
        block = self._block(value, ("llm",))
        return Block(saved_name or block.name, block.values, block.keys)
