"""Settings laid over one another, each value with the place it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spa3d.registry.located_yaml import Keys

Place = Callable[[Keys], str]
"""Names where a value stands, given its keys relative to what is being laid."""


class Layers:
    """A tree of values that later layers overwrite, and what each came from (a flag, or file, line and key)."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.errors: list[str] = []
        self._places: dict[Keys, str] = {}

    def lay(self, keys: Keys, value: Any, place: Place) -> None:
        """Put `value` at `keys`; a block goes into the block that is there, everything else replaces."""
        if value != {}:
            self._lay(keys, value, place, start=len(keys))

    def _lay(self, keys: Keys, value: Any, place: Place, *, start: int) -> None:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                self._lay((*keys, key), inner, place, start=start)
            return
        block = self.values
        for key in keys[:-1]:
            below = block.setdefault(str(key), {})
            if not isinstance(below, dict):
                self.errors.append(f"{place(keys[start:])}: {key} holds a value, so it has no fields")
                return
            block = below
        there = block.get(str(keys[-1]))
        if isinstance(there, dict) and there:
            if value not in (None, {}):  # an empty block in YAML is None
                self.errors.append(f"{place(keys[start:])}: {keys[-1]} is a block of fields and takes no value itself")
            return
        block[str(keys[-1])] = value
        self._places[keys] = place(keys[start:])

    def name(self, keys: Keys, place: str) -> None:
        """Say where `keys` as a whole come from, for errors in no single value of theirs."""
        self._places[keys] = place

    def place(self, keys: Keys) -> str:
        """Where the value at `keys`, or the innermost block around it that has a place, comes from."""
        return next((self._places[keys[:end]] for end in range(len(keys), -1, -1) if keys[:end] in self._places), "")

    def block(self, keys: Keys) -> dict[str, Any]:
        """The values under `keys`."""
        block: dict[str, Any] = self.values
        for key in keys:
            block = block.get(str(key), {})
        return block
