"""Header of a PLY file, read by plyfile after repairs."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from spa3d.data.formats.number_lines import shorten
from spa3d.errors import DataError

_LONGEST = 1 << 20
"""Most bytes of a header."""
_ELEMENT = re.compile(r"element\s+(\S+)\s+(\S+)", re.ASCII)
_TEXTURE = re.compile(r"comment\s+TextureFile\s+(.+)", re.IGNORECASE)


@dataclass(frozen=True)
class PlyElement:
    """One element of a PLY file.

    Attributes:
        name: its name, such as ``vertex``.
        count: number of records that the header promises.
        scalars: numpy type of each property in the order of the file; for a list the type of its values.
        lengths: type of the length of each property that is a list.

    """

    name: str
    count: int
    scalars: dict[str, np.dtype[Any]]
    lengths: dict[str, np.dtype[Any]]

    @property
    def dtype(self) -> np.dtype[Any]:
        """A record in a binary file, if no property is a list."""
        return np.dtype(list(self.scalars.items()))

    @property
    def least(self) -> int:
        """Least bytes of a record in a binary file: lists may be empty."""
        return sum(self.lengths.get(name, dtype).itemsize for name, dtype in self.scalars.items())


@dataclass(frozen=True)
class PlyHeader:
    """Header of a PLY file.

    Attributes:
        elements: the elements in the order of the file.
        is_text: whether values are written as text.
        textures: names of the texture files in its comments.
        offset: position of the first byte behind the header.
        lines: number of lines of the header.

    """

    elements: tuple[PlyElement, ...]
    is_text: bool
    textures: tuple[str, ...]
    offset: int
    lines: int

    def find(self, name: str) -> PlyElement | None:
        """The element of a name; None if there is none."""
        return next((each for each in self.elements if each.name == name), None)


def read_header(plyfile: Any, file: BinaryIO, size: int, where: str) -> PlyHeader:
    """Read the header, and compare what it promises with the `size` of the file in bytes.

    plyfile refuses headers with other text than ASCII, a byte order mark or mixed line ends, and allocates what a
    header promises; so it gets repaired lines with empty comments and counts of 0.

    Raises:
        DataError: no header, a wrong one, or more records than the file has bytes for.

    """
    lines, offset = _read_lines(file, where)
    counts: list[int] = []
    grammar = []
    for line in lines:
        stated = _ELEMENT.fullmatch(line)
        if stated:
            counts.append(_to_count(stated[2], line, where))
            line = f"element {stated[1]} 0"
        is_grammar = line and not line.startswith(("comment", "obj_info"))
        grammar.append(line if is_grammar else "comment")
    try:
        parsed = plyfile.PlyData.read(io.BytesIO("\n".join([*grammar, ""]).encode("ascii", "replace")), mmap=False)
    except Exception as error:  # plyfile's errors, ValueError of repeated names, IndexError of properties in front
        raise DataError(f"{where}: its PLY header is wrong ({error}).") from error
    elements = tuple(
        _to_element(each, count, parsed.byte_order) for each, count in zip(parsed.elements, counts, strict=True)
    )
    textures = tuple(match[1].strip() for match in map(_TEXTURE.fullmatch, lines) if match)
    header = PlyHeader(elements, bool(parsed.text), textures, offset, len(lines))
    _check_size(header, size - offset, where)
    return header


def _read_lines(file: BinaryIO, where: str) -> tuple[list[str], int]:
    """Lines of the header, and the position behind it."""
    head = file.read(_LONGEST)
    start = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    first = re.match(rb"[^\r\n]{0,100}(\r\n|\n|\r)", head[start:])
    if first is None or first[0].strip() != b"ply":
        raise DataError(
            f"{where}: not a PLY file: it begins with {shorten(head[:12].decode('latin-1'))}, not with ply."
        )
    newline = rb"\r" if first[1] == b"\r" else rb"\r?\n"
    end = re.search(rb"[\r\n][ \t]*end_header[ \t]*" + newline, head)
    if end is None:
        raise DataError(f"{where}: its PLY header has no end (end_header); copy it again.")
    text = head[start : end.end()].decode("latin-1")
    return [line.strip() for line in re.split(r"\r\n|\n|\r", text.rstrip("\r\n"))], end.end()


def _to_count(word: str, line: str, where: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 19):
        raise DataError(f"{where}: its header says {shorten(line)}; a count is a whole number of 0 or more.")
    return int(word)


def _to_element(parsed: Any, count: int, byte_order: str) -> PlyElement:
    scalars, lengths = {}, {}
    for each in parsed.properties:
        scalars[each.name] = np.dtype(byte_order + each.val_dtype)
        if hasattr(each, "len_dtype"):
            lengths[each.name] = np.dtype(byte_order + each.len_dtype)
    return PlyElement(parsed.name, count, scalars, lengths)


def _check_size(header: PlyHeader, available: int, where: str) -> None:
    least = sum(each.count * (2 * len(each.scalars) if header.is_text else each.least) for each in header.elements)
    if least - header.is_text > available:
        promised = ", ".join(f"{each.count:,} {each.name}" for each in header.elements)
        text = f"its header promises {promised}, at least {least:,} bytes, and {max(available, 0):,} follow"
        raise DataError(f"{where}: truncated: {text}; copy it again.")
