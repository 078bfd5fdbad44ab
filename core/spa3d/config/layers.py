"""Settings laid over one another, each value with the location it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spa3d.registry.located_yaml import Keys

Location = Callable[[Keys], str]
"""Returns the location of a value, given its keys relative to the layer's keys."""


class Layers:
    """Tree of values with locations (a flag, or file, line and key); later layers override."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.errors: list[str] = []
        self._locations: dict[Keys, str] = {}

    def set_value(self, keys: Keys, value: Any, location: Location) -> None:
        """Set `value` at `keys`; blocks are merged, other values are replaced."""
        if value != {}:
            self._set_value(keys, value, location, start=len(keys))

    def _set_value(self, keys: Keys, value: Any, location: Location, *, start: int) -> None:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                self._set_value((*keys, key), inner, location, start=start)
            return
        block = self.values
        for key in keys[:-1]:
            below = block.setdefault(str(key), {})
            if not isinstance(below, dict):
                self.errors.append(f"{location(keys[start:])}: {key} holds a value, so it has no fields")
                return
            block = below
        existing = block.get(str(keys[-1]))
        if isinstance(existing, dict) and existing:
            if value not in (None, {}):  # an empty block in YAML is None
                self.errors.append(
                    f"{location(keys[start:])}: {keys[-1]} is a block of fields and takes no value itself"
                )
            return
        block[str(keys[-1])] = value
        self._locations[keys] = location(keys[start:])

    def name(self, keys: Keys, location: str) -> None:
        """Set the location of `keys` as a whole, for errors that concern no single value."""
        self._locations[keys] = location

    def location(self, keys: Keys) -> str:
        """Location of the value at `keys`, or of the innermost block around it that has one."""
        return next(
            (self._locations[keys[:end]] for end in range(len(keys), -1, -1) if keys[:end] in self._locations), ""
        )

    def block(self, keys: Keys) -> dict[str, Any]:
        """The values under `keys`."""
        block: dict[str, Any] = self.values
        for key in keys:
            block = block.get(str(key), {})
        return block
