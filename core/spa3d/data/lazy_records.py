"""Lazy sequence of records, for splits larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar, overload

from spa3d.contracts.dataset import Record

Key = TypeVar("Key")


class LazyRecords(Sequence[Record], Generic[Key]):
    """Sequence of records, built again at every access.

    Args:
        keys: one key per record, in order; a slice of the records slices the keys.
        make: builds the record of a key.

    """

    def __init__(self, keys: Sequence[Key], make: Callable[[Key], Record]) -> None:
        self._keys, self._make = keys, make

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Record]:
        return map(self._make, self._keys)  # Sequence.__iter__ would end silently at an IndexError of `make`

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> LazyRecords[Key]: ...
    def __getitem__(self, index: int | slice) -> Record | LazyRecords[Key]:
        if isinstance(index, slice):
            return LazyRecords(self._keys[index], self._make)
        return self._make(self._keys[index])
