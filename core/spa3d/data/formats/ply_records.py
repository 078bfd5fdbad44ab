"""Records of a PLY file behind its header.

plyfile reads text and lists value by value, which takes minutes for a large cloud, so numpy reads them here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Int

from spa3d.data.formats.cloud_buffer import BLOCK
from spa3d.data.formats.number_lines import BLOCK_LINES, NumberLines, is_number, shorten
from spa3d.data.formats.ply_header import PlyElement, PlyHeader
from spa3d.errors import DataError

Numbers = Mapping[str, np.ndarray]
"""Values of records by the name of the property, in its type."""
_MOST_LISTS = 10_000_000
"""Most records with lists of different lengths, which are found one by one."""


@dataclass(frozen=True)
class Lists:
    """Lists of a property, one per record.

    Attributes:
        lengths: length of each.
        values: all values, one list after another.

    """

    lengths: Int[np.ndarray, " N"]
    values: np.ndarray


Records = tuple[Numbers, dict[str, Lists]]


class PlyRecords:
    """Reader of the elements of a PLY file, in the order of the file.

    Args:
        file: the file.
        header: its header.
        size: bytes of the file.
        where: location of the cloud, for messages.

    """

    def __init__(self, file: BinaryIO, header: PlyHeader, size: int, where: str) -> None:
        self.where = where
        self._file, self._size = file, size
        file.seek(header.offset)
        self._lines = NumberLines(file, where, first=header.lines + 1) if header.is_text else None

    def read_numbers(self, element: PlyElement) -> Iterator[Numbers]:
        """Values of an element in blocks, without its lists."""
        if element.lengths:
            yield self.read_lists(element)[0]
            return
        left = element.count
        while left:
            block = self._read_block(element, left)
            left -= len(next(iter(block.values())))
            yield block

    def read_lists(self, element: PlyElement) -> Records:
        """Values and lists of an element, all at once."""
        if self._lines is not None:
            return self._read_text_lists(element, self._lines)
        raw = self._file.read(self._size - self._file.tell())
        numbers, lists, used = _read_uniform(element, raw) or _read_ragged(element, raw, self.where)
        self._file.seek(used - len(raw), 1)
        return numbers, lists

    def skip(self, element: PlyElement) -> None:
        """Pass over an element."""
        if self._lines is not None:
            left = element.count if element.scalars else 0
            while left:
                left -= len(self._take(self._lines, left, element))
        elif element.lengths:
            self.read_lists(element)
        else:
            self._file.seek(element.count * element.dtype.itemsize, 1)

    def _read_block(self, element: PlyElement, left: int) -> Numbers:
        if self._lines is not None:
            values = self._lines.parse(self._take(self._lines, left, element), len(element.scalars))
            columns = zip(element.scalars.items(), values.T, strict=True)
            return {name: _cast(column, dtype) for (name, dtype), column in columns}
        size = min(left, BLOCK) * element.dtype.itemsize
        raw = self._file.read(size)
        if len(raw) < size:
            raise DataError(f"{self.where}: truncated inside its {element.name} records; copy it again.")
        records = np.frombuffer(raw, element.dtype)
        return {name: records[name] for name in element.scalars}

    def _take(self, source: NumberLines, left: int, element: PlyElement) -> list[str]:
        lines = source.take(min(left, BLOCK_LINES))
        if not lines:
            text = f"{left:,} of {element.count:,} {element.name} lines are missing"
            raise DataError(f"{self.where}: truncated: {text}; copy it again.")
        return lines

    def _read_text_lists(self, element: PlyElement, source: NumberLines) -> Records:
        words: list[str] = []
        starts: dict[str, list[int]] = {name: [] for name in element.scalars}
        lengths: dict[str, list[int]] = {name: [] for name in element.lengths}
        left = element.count
        while left:
            lines = self._take(source, left, element)
            left -= len(lines)
            for index, line in enumerate(lines):
                row = line.split()
                problem = _split_row(row, len(words), starts, lengths)
                if problem:
                    raise DataError(f"{self.where}: line {source.number(index)}: {problem}.")
                words += row
        values = np.array(words, np.float64)
        numbers, lists = {}, {}
        for name, dtype in element.scalars.items():
            at = np.array(starts[name], np.int64)
            if name in lengths:
                sizes = np.array(lengths[name], np.int64)
                lists[name] = Lists(sizes, values[_positions(at, sizes, 1)])
            else:
                numbers[name] = _cast(values[at], dtype)
        return numbers, lists


def _cast(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Values of a text in the type of their property; whole numbers that do not fit stay floats."""
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    fits = ((values >= limits.min) & (values <= limits.max) & (values % 1 == 0)).all()
    return values.astype(dtype) if fits else values


def _split_row(row: list[str], base: int, starts: dict[str, list[int]], lengths: dict[str, list[int]]) -> str:
    """Add the positions of the values of a line; returns what is wrong with it, or nothing."""
    wrong = next((word for word in row if not is_number(word)), None)
    if wrong is not None:
        return f"{shorten(wrong)} is no number"
    at = 0
    for name, positions in starts.items():
        if name not in lengths:
            positions.append(base + at)
            at += 1
            continue
        if at >= len(row) or not row[at].isdigit():
            return f"the list {name} has no length"
        lengths[name].append(min(int(row[at][:9]), len(row)))
        positions.append(base + at + 1)
        at += 1 + lengths[name][-1]
    return "" if at == len(row) else f"{len(row)} values where its properties have {at}"


def _read_uniform(element: PlyElement, raw: bytes) -> tuple[Numbers, dict[str, Lists], int] | None:
    """Read records whose lists are as long as those of the first; None if others are not."""
    fields: list[Any] = []
    at = 0
    for name, dtype in element.scalars.items():
        if name not in element.lengths:
            fields.append((name, dtype))
            at += dtype.itemsize
            continue
        length = _read_length(raw, at, element.lengths[name])
        at += element.lengths[name].itemsize + length * dtype.itemsize
        if length < 0 or at > len(raw):
            return None
        fields += [(f"{name}\n", element.lengths[name]), (name, dtype, (length,))]
    record = np.dtype(fields)
    if element.count * record.itemsize > len(raw):
        return None
    records = np.frombuffer(raw, record, element.count)
    lists = {}
    for name in element.lengths:
        length = records[name].shape[1]
        if (records[f"{name}\n"] != length).any():
            return None
        lists[name] = Lists(np.full(element.count, length), records[name].reshape(-1))
    numbers = {name: records[name] for name in element.scalars if name not in lists}
    return numbers, lists, element.count * record.itemsize


def _read_ragged(element: PlyElement, raw: bytes, where: str) -> tuple[Numbers, dict[str, Lists], int]:
    """Read records whose lists have different lengths."""
    if element.count > _MOST_LISTS:
        text = f"{element.count:,} {element.name} records with lists of different lengths"
        raise DataError(f"{where}: {text}; possible: {_MOST_LISTS:,}. Save triangles only.")
    properties = [(name, dtype.itemsize, element.lengths.get(name)) for name, dtype in element.scalars.items()]
    starts = {name: np.zeros(element.count, np.int64) for name in element.scalars}
    lengths = {name: np.ones(element.count, np.int64) for name in element.scalars}
    at = 0
    for row in range(element.count):
        for name, width, length_type in properties:
            length = 1
            if length_type is not None:
                length = lengths[name][row] = _read_length(raw, at, length_type)
                at += length_type.itemsize
            starts[name][row] = at
            at += length * width
            if length < 0 or at > len(raw):
                text = f"{row:,} of {element.count:,} {element.name} records are there"
                raise DataError(f"{where}: truncated or damaged: {text}; copy it again.")
    data = np.frombuffer(raw, np.uint8)
    values = {}
    for name, dtype in element.scalars.items():
        positions = _positions(starts[name], lengths[name], dtype.itemsize)
        values[name] = data[positions[:, None] + np.arange(dtype.itemsize)].view(dtype)[:, 0]
    numbers = {name: values[name] for name in values if name not in element.lengths}
    return numbers, {name: Lists(lengths[name], values[name]) for name in element.lengths}, at


def _read_length(raw: bytes, at: int, dtype: np.dtype[Any]) -> int:
    """Length of a list; -1 if there is none."""
    part = raw[at : at + dtype.itemsize]
    if len(part) < dtype.itemsize or dtype.kind not in "iu":
        return -1
    return max(int.from_bytes(part, "big" if dtype.str[0] == ">" else "little", signed=dtype.kind == "i"), -1)


def _positions(starts: np.ndarray, lengths: np.ndarray, step: int) -> Int[np.ndarray, " P"]:
    """Positions of all values of lists that begin at `starts`, `step` apart."""
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(starts, lengths) + within * step
