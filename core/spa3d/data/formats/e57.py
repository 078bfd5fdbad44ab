"""Reader of laser scans in E57 files, through pye57's binding of libE57Format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from spa3d.data.formats.cloud_buffer import BLOCK, CloudBuffer, refuse_many
from spa3d.data.formats.contract import Cloud, CloudFormat, Reading, import_reader, require_utf8_name
from spa3d.errors import DataError

_CARTESIAN = ("cartesianX", "cartesianY", "cartesianZ")
_SPHERICAL = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")
_COLORS = ("colorRed", "colorGreen", "colorBlue")
_INVALID_STATES = ("cartesianInvalidState", "sphericalInvalidState")
_INVALID_COLOR = "isColorInvalid"
_MOST_SCANS = 10_000
_LARGEST_RANGE = 1e300
"""Largest range of a value that is stated; an unstated one is that of the type."""


def _read(path: Path, reading: Reading) -> Cloud:
    pye57 = import_reader("pye57", reading.where)
    require_utf8_name(path, reading.where)
    try:
        with pye57.E57(str(path)) as image:
            return _join(pye57, image, reading.where)
    except DataError:
        raise
    except Exception as error:  # libE57Format, its binding and its headers raise anything on broken input
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(f"{reading.where}: the file is damaged or no E57 file; copy it again ({reason}).") from error


FORMAT = CloudFormat(
    "E57", (".e57",), _read, "all scans of a file with their poses, colors; Cartesian or spherical coordinates"
)


@dataclass(frozen=True)
class _Scan:
    """One scan.

    Attributes:
        header: pye57's header.
        fields: names of its values.
        color_range: least and largest color; None without color.
        is_rounded: whether coordinates are float32 and stay as they are.

    """

    header: Any
    fields: tuple[str, ...]
    color_range: tuple[float, float] | None
    is_rounded: bool

    @property
    def axes(self) -> tuple[str, ...]:
        return _CARTESIAN if set(_CARTESIAN) <= set(self.fields) else _SPHERICAL


def _join(pye57: Any, image: Any, where: str) -> Cloud:
    if not 0 < image.scan_count <= _MOST_SCANS:
        raise DataError(f"{where}: {image.scan_count} scans; possible: 1 to {_MOST_SCANS:,}.")
    scans = [_describe(pye57, image.get_header(index), where) for index in range(image.scan_count)]
    count = sum(scan.header.point_count for scan in scans)
    refuse_many(count, where)
    has_color = any(scan.color_range for scan in scans)
    buffer, invalid, colorless = CloudBuffer(count, colors=has_color), 0, 0
    for scan in scans:
        for values in _read_blocks(pye57, image, scan):
            valid = _are_valid(values)
            invalid += int((~valid).sum())
            colors = _scale(values, scan.color_range)[valid] if scan.color_range else np.zeros((1, 3))
            if _INVALID_COLOR in values:
                uncolored = values[_INVALID_COLOR][valid] != 0
                colors = np.where(uncolored[:, None], 0, colors)
                colorless += int(uncolored.sum())
            buffer.add(_to_points(values, scan)[valid], colors if has_color else None)
    if buffer.used + invalid < count:
        raise DataError(f"{where}: truncated: {buffer.used + invalid:,} of {count:,} points are there; copy it again.")
    precision = np.dtype(np.float32 if all(scan.is_rounded for scan in scans) else np.float64)
    return replace(buffer.build(), precision=precision).note(*_notes(scans, invalid, colorless))


def _describe(pye57: Any, header: Any, where: str) -> _Scan:
    known = {*_CARTESIAN, *_SPHERICAL, *_COLORS, *_INVALID_STATES, _INVALID_COLOR}
    fields = tuple(name for name in header.point_fields if name in known)
    if not (set(_CARTESIAN) <= set(fields) or set(_SPHERICAL) <= set(fields)):
        there = ", ".join(header.point_fields)
        raise DataError(f"{where}: a scan without coordinates; it has {there}; possible: {', '.join(_CARTESIAN)}.")
    color_range = _find_color_range(pye57, header) if set(_COLORS) <= set(fields) else None
    first = _find_node(pye57, header, _CARTESIAN[0]) if _CARTESIAN[0] in fields else None
    is_single = isinstance(first, pye57.libe57.FloatNode) and first.precision() == pye57.libe57.E57_SINGLE
    return _Scan(header, fields, color_range, is_single and not np.any(header.translation))


def _find_node(pye57: Any, header: Any, name: str) -> Any:
    """Description of a value of the points of a scan."""
    return pye57.utils.get_node(pye57.libe57.StructureNode(header.points.prototype()), name)


def _find_color_range(pye57: Any, header: Any) -> tuple[float, float]:
    """Least and largest color: by the limits of the scan, else by the type, else 0 to 255."""
    if header.node.isDefined("colorLimits"):
        limits = header.node["colorLimits"]
        low, high = limits["colorRedMinimum"].value(), limits["colorRedMaximum"].value()
    else:
        node = _find_node(pye57, header, _COLORS[0])
        low, high = node.minimum(), node.maximum()
    return (float(low), float(high)) if 0 < high - low < _LARGEST_RANGE else (0.0, 255.0)


def _read_blocks(pye57: Any, image: Any, scan: _Scan) -> Iterator[dict[str, np.ndarray]]:
    """Values of a scan in blocks, all as float64.

    pye57's own buffers hold colors in bytes and fail on colors of 16 bits.
    """
    arrays = {name: np.empty(BLOCK) for name in scan.fields}
    buffers = pye57.libe57.VectorSourceDestBuffer()
    for name, array in arrays.items():
        buffers.append(pye57.libe57.SourceDestBuffer(image.image_file, name, array, BLOCK, True, True))
    reader = scan.header.points.reader(buffers)
    try:
        while count := reader.read():
            yield {name: array[:count] for name, array in arrays.items()}
    finally:
        reader.close()


def _are_valid(values: dict[str, np.ndarray]) -> Bool[np.ndarray, " N"]:
    states = [values[name] == 0 for name in _INVALID_STATES if name in values]
    first = next(iter(values.values()))
    return np.all([np.ones(len(first), bool), *states], axis=0)


def _scale(values: dict[str, np.ndarray], color_range: tuple[float, float]) -> Float[np.ndarray, "N 3"]:
    low, high = color_range
    return (np.stack([values[name] for name in _COLORS], axis=1) - low) / (high - low)


def _to_points(values: dict[str, np.ndarray], scan: _Scan) -> Float[np.ndarray, "N 3"]:
    """Coordinates of a block in the frame of the file."""
    points = np.stack([values[name] for name in scan.axes], axis=1)
    if scan.axes == _SPHERICAL:
        distance, azimuth, elevation = points.T
        flat = distance * np.cos(elevation)
        points = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), distance * np.sin(elevation)], axis=1)
    if not scan.header.has_pose():
        return points
    return points @ np.asarray(scan.header.rotation_matrix).T + np.asarray(scan.header.translation)


def _notes(scans: Sequence[_Scan], invalid: int, colorless: int) -> Iterator[str]:
    posed = sum(scan.header.has_pose() for scan in scans)
    if len(scans) > 1:
        yield f"{len(scans)} scans are joined, {posed} of them moved by their poses"
    elif posed:
        yield "points are moved by the pose of the scan"
    spherical = sum(scan.axes == _SPHERICAL for scan in scans)
    if spherical:
        yield f"spherical coordinates of {spherical} of {len(scans)} scans are converted"
    uncolored = sum(scan.color_range is None for scan in scans)
    if 0 < uncolored < len(scans):
        yield f"{uncolored} of {len(scans)} scans have no color; their points are black"
    if colorless:
        yield f"{colorless:,} points have an invalid color; they are black"
    if invalid:
        yield f"{invalid:,} points that the scanner marked as invalid are left out"
