"""Lines of numbers in a text file, read in blocks, with messages that name the line."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float

from spa3d.errors import DataError

BLOCK_LINES = 50_000
"""Lines that are parsed at a time."""
_LONGEST = 1 << 16
"""Longest line; a longer one is no line of numbers, and would be read into memory as a whole."""
_COMMENT = re.compile(r"(#|//).*")


class NumberLines:
    """Lines of a text file that are not blank, with any of the usual line ends.

    Args:
        file: a file that is open at the first line.
        where: location of the cloud, for messages.
        first: number of that line, for messages.
        comments: whether ``#`` and ``//`` begin a comment.

    """

    def __init__(self, file: BinaryIO, where: str, *, first: int = 1, comments: bool = False) -> None:
        self.where = where
        self.normalize: Callable[[str], str] | None = None
        """Makes spaces of the separators of a line and points of its decimal commas, if that is needed."""
        self._number = first - 1
        self._numbers: list[int] = []
        self._comments = comments
        encoding = _encoding(file)
        self._stream = io.TextIOWrapper(io.BufferedReader(_Borrowed(file), 1 << 16), encoding, errors="replace")

    def take(self, most: int = BLOCK_LINES) -> list[str]:
        """Read up to `most` lines; fewer only at the end of the file."""
        lines: list[str] = []
        self._numbers = []
        while len(lines) < most:
            line = self._stream.readline(_LONGEST)
            if not line:
                break
            self._number += 1
            if len(line) == _LONGEST:
                raise DataError(f"{self.where}: line {self._number} is too long for numbers; is it a text file?")
            if self._comments and ("#" in line or "//" in line):
                line = _COMMENT.sub("", line)
            if line and not line.isspace():
                lines.append(line)
                self._numbers.append(self._number)
        return lines

    def drop(self) -> None:
        """Forget the first line of the last block, which is no line of numbers."""
        del self._numbers[0]

    def number(self, index: int) -> int:
        """Number in the file of a line of the last block."""
        return self._numbers[index]

    def parse(self, lines: list[str], columns: int) -> Float[np.ndarray, "N columns"]:
        """Numbers of the last block of lines, ``(N, columns)`` float64.

        Raises:
            DataError: a line has another number of values, or one that is no number; the message names the line.

        """
        texts = lines if self.normalize is None else [self.normalize(line) for line in lines]
        try:
            values = np.loadtxt(texts, ndmin=2, comments=None)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{self.where}: {self._find_fault(texts, columns) or error}") from error
        if values.shape[1] != columns:
            raise DataError(f"{self.where}: {self._find_fault(texts, columns)}")
        return values

    def _find_fault(self, lines: list[str], columns: int) -> str:
        for index, line in enumerate(lines):
            words = line.split()
            for word in words:
                if not is_number(word):
                    return f"line {self.number(index)}: {shorten(word)} is no number."
            if len(words) != columns:
                values = "1 value" if len(words) == 1 else f"{len(words)} values"
                return f"line {self.number(index)}: {values} where {columns} belong."
        return ""


class _Borrowed(io.RawIOBase):
    """A file that stays open when this is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)


def is_number(word: str) -> bool:
    """Whether a word is a number with a decimal point."""
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word


def shorten(text: str) -> str:
    """Quote a text of a file for a message, at most 40 characters of it."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def _encoding(file: BinaryIO) -> str:
    """Encoding by the byte order mark at the file's position, which is skipped."""
    start = file.tell()
    mark = file.read(3)
    if mark.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        file.seek(start)
        return "utf-16"
    file.seek(start + (3 if mark == codecs.BOM_UTF8 else 0))
    return "utf-8"
