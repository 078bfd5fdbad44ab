"""Cursor over the bytes of a file that may be cut short."""

from __future__ import annotations

import mmap

from spa3d.errors import DataError


class ByteCursor:
    """Position in a file; every step checks first that the bytes are there, and allocates nothing before.

    Args:
        data: the file, mapped into memory.
        where: name of the file in messages.

    """

    def __init__(self, data: mmap.mmap, where: str) -> None:
        self.data, self.where, self.at, self.end = data, where, 0, len(data)

    def skip(self, size: int) -> int:
        """Step over bytes; returns the location of the first. Raises `DataError` if they are not all there."""
        start = self.at
        if size > self.end - start:
            raise DataError(
                f"{self.where}: truncated: {self.end - start} of {size} bytes at byte {start}; copy it again."
            )
        self.at += size
        return start

    def take(self, size: int) -> bytes:
        """Read bytes; raises `DataError` if they are not all there."""
        start = self.skip(size)
        return self.data[start : self.at]

    def number(self, size: int, *, signed: bool = False) -> int:
        """Read an integer of `size` bytes, the lowest first."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def line(self, longest: int) -> bytes:
        """Read bytes up to a line feed, which is dropped; raises `DataError` after `longest` bytes without one."""
        end = self.data.find(b"\n", self.at, self.at + longest)
        if end < 0:
            raise DataError(f"{self.where}: no line ends within {longest} bytes after {self.at}; copy it again.")
        return self.take(end + 1 - self.at)[:-1]
