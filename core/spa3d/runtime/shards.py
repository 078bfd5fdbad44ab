"""Shards: equal parts of a list of work for several processes, as ``i/n``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from spa3d.errors import ConfigError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Part `number` of `count` parts, counted from 1."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str, flag: str, meaning: str) -> Self:
        """Parse ``i/n``.

        Args:
            text: the value.
            flag: where it comes from, for the error message.
            meaning: what this process does then, for the error message.

        Raises:
            ConfigError: it is not i/n with 1 ≤ i ≤ n.

        """
        match = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", text)
        if not match or int(match[1]) > int(match[2]):
            raise ConfigError(f"{flag} {text}: expected i/n with i from 1 to n, such as 1/4: {meaning}")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def select(self, items: Sequence[Item]) -> Sequence[Item]:
        """The part of `items`: consecutive ones, so that the parts in order are the whole."""
        first, last = ((number * len(items)) // self.count for number in (self.number - 1, self.number))
        return items[first:last]
