"""Reader of text files with a point per line: XYZ, TXT, CSV, PTS, ASC."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spa3d.data.formats.cloud_buffer import CloudBuffer, refuse_many
from spa3d.data.formats.contract import Cloud, CloudFormat, Reading, divide_colors, scale_colors
from spa3d.data.formats.field_names import COLOR, NORMAL, POINT, find_fields, has_fields
from spa3d.data.formats.number_lines import NumberLines, is_number, shorten
from spa3d.data.formats.text_layout import Layout, find_separator, guess_layout, layout_of_header, split_names
from spa3d.errors import DataError
from spa3d.runtime.paths import open_file

_HEAD = 1 << 14
_COUNTED = 1 << 20
_EXCEL = re.compile(r"sep=.\s*")
"""First line that tells Excel the separator."""
_COMMENT = re.compile(r"^\s*(?:#|//).*$")


def _read(path: Path, reading: Reading) -> Cloud:
    with open_file(path, reading.where, DataError) as file:
        capacity = _count_lines(file)
        refuse_many(capacity - 1, reading.where)
        remarks = _leading_comments(file)
        table = _Table(NumberLines(file, reading.where, comments=True), remarks)
        cloud = table.read(capacity)
    if cloud.colors is None:
        return cloud.note(*table.notes)
    colors, scale = _scale(cloud.colors, reading, table.is_whole)
    return Cloud(cloud.points, colors, cloud.normals).note(*table.notes, f"colors taken as {scale}")


FORMAT = CloudFormat(
    "text",
    (".xyz", ".txt", ".csv", ".pts", ".asc"),
    _read,
    "a point per line: x y z, colors, normals; separators, header and columns are found",
)


class _Table:
    """Lines of numbers with their layout.

    Args:
        lines: the lines of the file.
        remarks: comments above the first line.

    """

    def __init__(self, lines: NumberLines, remarks: list[str]) -> None:
        self.lines = lines
        self.notes: list[str] = []
        self.is_whole = True
        """Whether all colors so far are whole numbers."""
        self._declared: int | None = None
        self._names: list[str] | None = None
        self._block = lines.take()
        self._read_header()
        lines.normalize = find_separator(self._block)
        self._columns = self._count_columns()
        remark_names = (split_names(each) for each in reversed(remarks))
        self._names = self._names or next((names for names in remark_names if self._are_names(names)), None)

    def read(self, capacity: int) -> Cloud:
        """Read all points; colors are as in the file."""
        values = self.lines.parse(self._block, self._columns)
        layout = guess_layout(values) if self._names is None else layout_of_header(self._names)
        self.notes.append(layout.note)
        colors, normals = layout.columns(COLOR), layout.columns(NORMAL)
        buffer = CloudBuffer(capacity, colors=colors is not None, normals=normals is not None)
        while True:
            self._add(buffer, values, layout)
            self._block = self.lines.take()
            if not self._block:
                break
            values = self.lines.parse(self._block, self._columns)
        self._check_count(buffer.used)
        return buffer.build()

    def _add(self, buffer: CloudBuffer, values: np.ndarray, layout: Layout) -> None:
        colors, normals = (
            None if columns is None else values[:, columns] for columns in map(layout.columns, (COLOR, NORMAL))
        )
        if colors is not None:
            self.is_whole = self.is_whole and bool((colors % 1 == 0).all())
        buffer.add(values[:, layout.columns(POINT)], colors, normals)

    def _read_header(self) -> None:
        """Take the number of points, and names or a remark, off the first block."""
        if self._block and _EXCEL.fullmatch(self._block[0]):
            self._drop()
        if not self._block:
            raise DataError(f"{self.lines.where}: no line of numbers; a point is a line with x, y and z.")
        if re.fullmatch(r"\s*\d+\s*", self._block[0]) and len(self._block) > 1:
            self._declared = int(self._block[0])
            self._drop()
        if any(is_number(word) for word in re.split(r"[\s,;\"]+", self._block[0])):
            return
        names = split_names(self._block[0])
        if has_fields(find_fields(names), POINT):
            self._names = names
        elif self._declared is None:  # behind a number of points, XYZ has a remark
            line = f"{self.lines.where}: line {self.lines.number(0)}: {shorten(self._block[0].strip())}"
            raise DataError(f"{line} is neither numbers nor a header that names x, y and z.")
        self._drop()
        if not self._block:
            raise DataError(f"{self.lines.where}: a header without a line of numbers.")

    def _drop(self) -> None:
        self._block = self._block[1:]
        self.lines.drop()

    def _count_columns(self) -> int:
        first = self._block[0] if self.lines.normalize is None else self.lines.normalize(self._block[0])
        columns = len(first.split())
        line = f"{self.lines.where}: line {self.lines.number(0)}"
        if self._names is not None and len(self._names) != columns:
            raise DataError(f"{line}: {columns} values, but the header names {len(self._names)} columns.")
        if columns < 3:
            raise DataError(f"{line}: {columns} value{'s' * (columns > 1)}; a point is a line with x, y and z.")
        return columns

    def _are_names(self, names: list[str]) -> bool:
        return len(names) == self._columns and has_fields(find_fields(names), POINT)

    def _check_count(self, points: int) -> None:
        if self._declared is None or self._declared == points:
            return
        text = f"line 1 says {self._declared:,} points, but {points:,} follow"
        if points < self._declared:
            raise DataError(f"{self.lines.where}: truncated: {text}; copy it again.")
        self.notes.append(text)


def _scale(colors: np.ndarray, reading: Reading, is_whole: bool) -> tuple[np.ndarray, str]:
    """Scale colors of a text to [0, 1]; whole numbers show their range."""
    high = float(colors.max(initial=0))
    if is_whole and 1 < high <= 65535:
        top = 255 if high <= 255 else 65535
        return divide_colors(colors, top), f"0-{top}, as they are whole numbers up to {high:.0f}"
    return scale_colors(colors, reading), reading.colors


def _count_lines(file: BinaryIO) -> int:
    """Upper bound of the number of lines; leaves `file` at its start."""
    newlines = returns = 0
    while block := file.read(_COUNTED):
        newlines += block.count(b"\n")
        returns += block.count(b"\r")
    file.seek(0)
    return max(newlines, returns) + 1


def _leading_comments(file: BinaryIO) -> list[str]:
    """Comments above the first line; leaves `file` at its start."""
    text = file.read(_HEAD).decode("utf-8", "replace").removeprefix("\ufeff")
    file.seek(0)
    result = []
    for line in text.splitlines():
        if line.strip() and not _COMMENT.match(line):
            break
        result.append(line)
    return result
