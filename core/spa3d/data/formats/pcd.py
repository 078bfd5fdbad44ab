"""Reader of PCD files of the Point Cloud Library (PCL), with types and LZF of pypcd4."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spa3d.data.formats.cloud_buffer import BLOCK, CloudBuffer
from spa3d.data.formats.contract import Cloud, CloudFormat, Reading, divide_colors, import_reader
from spa3d.data.formats.field_names import COLOR, NORMAL, POINT, USED, find_fields, has_fields
from spa3d.data.formats.named_arrays import stack_colors
from spa3d.data.formats.number_lines import BLOCK_LINES, NumberLines
from spa3d.data.formats.pcd_header import PcdHeader, is_padding, read_header
from spa3d.errors import DataError
from spa3d.runtime.paths import open_file

_PACKED = ("rgb", "rgba")
_MOST_RATIO = 100
"""Most bytes that LZF makes of one: a copy of 264 bytes takes three."""

Block = Mapping[str, np.ndarray]
"""Values of some points, by the name of the field."""


def _read(path: Path, reading: Reading) -> Cloud:
    pypcd4 = import_reader("pypcd4", reading.where)
    with open_file(path, reading.where, DataError) as file:
        header = read_header(pypcd4, file, reading.where)
        read_blocks = {"ascii": _read_ascii, "binary": _read_binary}.get(header.encoding, _read_compressed)
        available = path.stat().st_size - file.tell()
        return _Builder(header, reading).build(read_blocks(file, header, available, reading.where))


FORMAT = CloudFormat(
    "PCD", (".pcd",), _read, "ascii, binary and compressed; packed rgb and rgba or r g b, normals; organized clouds"
)


def _read_ascii(file: BinaryIO, header: PcdHeader, available: int, where: str) -> Iterator[Block]:
    if header.points * len(header.names) * 2 - 1 > available:
        raise DataError(
            f"{where}: truncated: {header.points:,} points do not fit in {available:,} bytes; copy it again."
        )
    lines = NumberLines(file, where, first=header.lines + 1)
    left = header.points
    while left:
        block = lines.take(min(left, BLOCK_LINES))
        if not block:
            raise DataError(f"{where}: truncated: {left:,} of {header.points:,} points are missing; copy it again.")
        values = lines.parse(block, len(header.names))
        left -= len(block)
        yield {name: _cast(values[:, at], header.dtype[name]) for at, name in enumerate(header.names)}


def _cast(values: np.ndarray, dtype: np.dtype[np.generic]) -> np.ndarray:
    """Values of a field of an ascii file, floats in its type and whole numbers as int64."""
    return values.astype(dtype if dtype.kind == "f" else np.int64)


def _read_binary(file: BinaryIO, header: PcdHeader, available: int, where: str) -> Iterator[Block]:
    if header.points * header.dtype.itemsize > available:
        there = available // header.dtype.itemsize
        raise DataError(f"{where}: truncated: {there:,} of {header.points:,} points are there; copy it again.")
    for start in range(0, header.points, BLOCK):
        values = np.frombuffer(file.read(min(BLOCK, header.points - start) * header.dtype.itemsize), header.dtype)
        yield {name: values[name] for name in header.names}


def _read_compressed(file: BinaryIO, header: PcdHeader, available: int, where: str) -> Iterator[Block]:
    """Read fields that are compressed as a whole, one after another.

    PCL leaves padding out, other programs do not.
    """
    stored = [name for name in header.names if not is_padding(name)]
    compressed, size = struct.unpack("<II", file.read(8).ljust(8, b"\0"))
    if size == header.points * header.dtype.itemsize:
        stored = list(header.names)
    expected = header.points * sum(header.dtype[name].itemsize for name in stored)
    if compressed > available - 8:
        raise DataError(f"{where}: truncated: {max(available - 8, 0):,} of {compressed:,} bytes; copy it again.")
    if size != expected or size > compressed * _MOST_RATIO:
        text = f"{compressed:,} compressed bytes should hold {size:,}, and {header.points:,} points take {expected:,}"
        raise DataError(f"{where}: {text}; it is damaged: copy it again.")
    raw = _decompress(file.read(compressed), size, where)
    columns, offset = {}, 0
    for name in stored:
        columns[name] = np.frombuffer(raw, header.dtype[name], header.points, offset)
        offset += columns[name].nbytes
    for start in range(0, header.points, BLOCK):
        yield {name: column[start : start + BLOCK] for name, column in columns.items()}


def _decompress(compressed: bytes, size: int, where: str) -> bytes:
    lzf = import_reader("lzf", where)  # pypcd4's library
    try:
        raw: bytes | None = lzf.decompress(compressed, size)
    except Exception as error:
        raise DataError(f"{where}: its compressed points are damaged; copy it again ({error}).") from error
    if raw is None or len(raw) != size:
        raise DataError(f"{where}: its compressed points are damaged; copy it again.")
    return raw


class _Builder:
    """Cloud from blocks of fields.

    Args:
        header: names and types of the fields.
        reading: how the file is read.

    """

    def __init__(self, header: PcdHeader, reading: Reading) -> None:
        fields = find_fields(header.names)
        if not has_fields(fields, POINT):
            raise DataError(f"{reading.where}: no fields x, y and z; there: {' '.join(header.fields)}.")
        self.header, self.reading = header, reading
        self.names = {field: header.names[position] for field, position in fields.items()}
        self.packed = next((name for name in _PACKED if name in header.names), None)
        self.has_color = self.packed is not None or has_fields(fields, COLOR)
        self.has_normals = has_fields(fields, NORMAL)
        self.missing = self.lost = 0
        self.are_zero = self.packed is not None and self.header.dtype[self.packed].kind == "f"
        """Whether packed colors that are stored as floats are all 0."""
        self.are_numbers = False
        """Whether packed colors are whole numbers that are stored as floats."""

    def build(self, blocks: Iterator[Block]) -> Cloud:
        """Join the blocks; points of no return are left out."""
        buffer = CloudBuffer(self.header.points, colors=self.has_color, normals=self.has_normals)
        for block in blocks:
            points = self._stack(block, POINT).astype(np.float64)
            there = np.isfinite(points).all(axis=1)
            colors = self._colors(block)[there] if self.has_color else None
            normals = self._stack(block, NORMAL)[there] if self.has_normals else None
            self.missing += int((~there).sum())
            buffer.add(points[there], colors, normals)
        if self.missing == self.header.points > 0:
            raise DataError(f"{self.reading.where}: all {self.missing:,} points are NaN, no return of the sensor.")
        types = [self.header.dtype[self.names[axis]] for axis in POINT]
        precision = np.result_type(*types) if all(each.kind == "f" for each in types) else np.dtype(np.float64)
        return replace(buffer.build().note(*self._notes()), precision=precision)

    def _stack(self, block: Block, fields: tuple[str, ...]) -> np.ndarray:
        return np.stack([block[self.names[field]] for field in fields], axis=1)

    def _colors(self, block: Block) -> np.ndarray:
        if self.packed is None:
            types = [self.header.dtype[self.names[field]] for field in COLOR]
            channels = [block[self.names[field]].astype(each) for field, each in zip(COLOR, types, strict=True)]
            return stack_colors(channels, self.reading)
        stored = block[self.packed]
        bits = self._bits(stored) if stored.dtype.kind == "f" else stored.astype(np.int64)
        return divide_colors(np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255], axis=1), 255)

    def _bits(self, stored: np.ndarray) -> np.ndarray:
        """Bits of packed colors that are stored as floats.

        PCL reads the bits of the float. Old files, such as those of its tutorials, have the number 4.2e+06 for
        gray instead; as bits it would mean an alpha of 63 to 75, which nobody writes.
        """
        self.are_zero = self.are_zero and not stored.any()
        if self.header.encoding == "ascii":
            unreadable = np.isnan(stored)  # the bits of an opaque color are those of a NaN, which a text loses
            self.lost += int(unreadable.sum())
            stored = np.where(unreadable, np.float32(0), stored)
        if (stored > 0).any() and ((stored >= 0) & (stored < 1 << 24) & (stored % 1 == 0)).all():
            self.are_numbers = True
            return stored.astype(np.int64)
        return np.ascontiguousarray(stored, np.float32).view(np.uint32).astype(np.int64)

    def _notes(self) -> Iterator[str]:
        if self.missing:
            yield f"{self.missing:,} of {self.header.points:,} points are NaN, no return of the sensor; left out"
        if self.are_numbers:
            yield f"{self.packed} has whole numbers stored as floats, read as 0xRRGGBB; digits may be lost in the file"
        if self.lost:
            yield f"{self.lost:,} packed colors are written as nan, which loses them; they are black"
        if self.are_zero and self.header.encoding == "ascii":
            yield f"{self.packed} is 0 everywhere, as in files whose writer cut its digits; all points are black"
        if self.header.viewpoint not in ((), (0, 0, 0, 1, 0, 0, 0)):
            viewpoint = " ".join(f"{value:g}" for value in self.header.viewpoint)
            yield f"VIEWPOINT {viewpoint} of the sensor is not applied; points stay in the frame of the file"
        used = {self.names[field] for field in USED if field in self.names} | {self.packed}
        rest = dict.fromkeys(name for name in self.header.fields if name not in used and not is_padding(name))
        if rest:
            yield f"fields that are not used: {', '.join(rest)}"
