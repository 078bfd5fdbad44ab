"""Header of a PCD file of the Point Cloud Library (PCL)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from spa3d.data.formats.cloud_buffer import refuse_many
from spa3d.data.formats.number_lines import shorten
from spa3d.errors import DataError

PADDING = "_"
_MOST_LINES = 200
_LONGEST = 1 << 16
_MOST_VALUES = 4096
"""Most values of a point; the largest descriptors of PCL have some hundreds."""
_KEYS = ("version", "fields", "columns", "size", "type", "count", "width", "height", "viewpoint", "points", "data")
_ENCODINGS = ("ascii", "binary", "binary_compressed")


@dataclass(frozen=True)
class PcdHeader:
    """Fields of a PCD file, and how they are stored.

    pypcd4 gives the types; its own reader of headers needs COUNT, names padding by the global random generator, and
    allocates what the header promises.

    Attributes:
        fields: names as in the file.
        dtype: a point in a binary file; padding and the values of a field of several have names of their own.
        points: number of points.
        encoding: ``ascii``, ``binary`` or ``binary_compressed``.
        viewpoint: position and quaternion of the sensor.
        lines: number of lines of the header.

    """

    fields: tuple[str, ...]
    dtype: np.dtype[Any]
    points: int
    encoding: str
    viewpoint: tuple[float, ...]
    lines: int

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each value of a point."""
        return self.dtype.names or ()


def is_padding(name: str) -> bool:
    """Whether a name of `PcdHeader.names` is one of padding."""
    return name.startswith(PADDING)


def read_header(pypcd4: Any, file: BinaryIO, where: str) -> PcdHeader:
    """Read the header, up to the first byte behind it; raises `DataError` about what is wrong."""
    entries, lines = _read_entries(file, where)
    fields = entries.get("fields") or entries.get("columns") or []
    encoding = " ".join(entries["data"]).lower()
    if encoding not in _ENCODINGS:
        raise DataError(f"{where}: DATA {shorten(encoding)}; possible: {', '.join(_ENCODINGS)}.")
    sizes, kinds = entries.get("size", []), entries.get("type", [])
    counts = _to_whole_numbers(entries.get("count", ["1"] * len(fields)), "COUNT", where)
    if not fields or not len(fields) == len(sizes) == len(kinds) == len(counts):
        numbers = f"{len(fields)} FIELDS, {len(sizes)} SIZE, {len(kinds)} TYPE, {len(counts)} COUNT"
        raise DataError(f"{where}: its header has {numbers}; there must be one of each per field.")
    if not 0 < sum(counts) <= _MOST_VALUES or min(counts) < 1:
        raise DataError(f"{where}: {sum(counts):,} values per point; possible: 1 to {_MOST_VALUES}, and 1 per field.")
    points = _count_points(entries, where)
    try:
        values = {"fields": _make_unique(fields), "size": sizes, "type": kinds, "count": counts}
        dtype = pypcd4.MetaData(**values, points=points, width=points).build_dtype()
        viewpoint = tuple(float(each) for each in entries.get("viewpoint", []))
    except Exception as error:  # pydantic's and numpy's errors about the values of a stranger
        text = f"SIZE {' '.join(sizes[:20])}, TYPE {' '.join(kinds[:20])}"
        raise DataError(f"{where}: a wrong header ({text}); TYPE is F, U or I and SIZE 1, 2, 4 or 8.") from error
    return PcdHeader(tuple(fields), dtype, points, encoding, viewpoint, lines)


def _read_entries(file: BinaryIO, where: str) -> tuple[dict[str, list[str]], int]:
    """Words of each entry up to DATA, and the number of lines."""
    entries: dict[str, list[str]] = {}
    for number in range(1, _MOST_LINES + 1):
        raw = file.readline(_LONGEST)
        words = raw.decode("utf-8", "replace").lstrip("\ufeff").split()
        if not raw:
            break
        if not words or words[0].startswith("#"):
            continue
        key = words[0].lower()
        if key not in _KEYS:
            raise DataError(f"{where}: line {number}: {shorten(words[0])} is no entry of a PCD header.")
        entries[key] = words[1:]
        if key == "data":
            return entries, number
    raise DataError(f"{where}: its header has no DATA; is it a PCD file, and complete?")


def _count_points(entries: dict[str, list[str]], where: str) -> int:
    width, height, points = (
        _to_whole_numbers(entries.get(key, [])[:1], key.upper(), where) for key in ("width", "height", "points")
    )
    area = width[0] * (height or [1])[0] if width else None
    count = points[0] if points else area
    if count is None or (area is not None and area != count):
        raise DataError(f"{where}: POINTS {count}, but WIDTH times HEIGHT is {area}; correct the header.")
    refuse_many(count, where)
    return count


def _to_whole_numbers(words: list[str], key: str, where: str) -> list[int]:
    if not all(word.isascii() and word.isdigit() and len(word) < 19 for word in words):
        raise DataError(f"{where}: {key} {shorten(' '.join(words))}; whole numbers are possible.")
    return [int(word) for word in words]


def _make_unique(fields: list[str]) -> list[str]:
    """Names that differ: padding and repeated names get a number."""
    result: list[str] = []
    for position, name in enumerate(fields):
        repeated = name in result
        result.append(f"{PADDING}{position}" if name == PADDING or repeated else name)
    return result
