"""Clouds from arrays with names, as NPZ and PyTorch files hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spa3d.data.formats.cloud_buffer import refuse_many
from spa3d.data.formats.contract import Cloud, Reading, divide_colors, scale_colors
from spa3d.data.formats.npy import advise_columns
from spa3d.errors import DataError

POINTS = ("points", "xyz", "pos", "coords", "coord", "coordinates", "pc", "point_cloud", "pointcloud", "vertices")
COLORS = ("colors", "color", "rgb", "rgbs")
CHANNELS = ("r", "g", "b")
NORMALS = ("normals", "normal")
_MOST_COLUMNS = 16
"""Most columns of an array that is read."""


@dataclass(frozen=True)
class NamedArray:
    """An array that is read only if it is used.

    Attributes:
        shape: its shape.
        dtype: numpy type of the array that `load` gives.
        load: reads it; raises `DataError`.

    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[], np.ndarray]


def build_cloud(arrays: Mapping[str, NamedArray], reading: Reading) -> Cloud:
    """Build a cloud from the arrays whose names say what they are, or from the only array.

    Points are ``(N, 3)``, or ``(N, 6)`` with colors, or ``(3, N)`` or ``(6, N)`` where only that can be meant; floats
    or whole numbers. Colors are ``(N, 3)``, or ``(N, 4)`` with alpha, or three arrays ``R``, ``G`` and ``B``.

    Raises:
        DataError: no array of points, or shapes that do not belong together.

    """
    names = {name.lower().rpartition("/")[2]: name for name in arrays}
    key = next((names[each] for each in POINTS if each in names), None)
    if key is None and len(arrays) == 1:
        key = next(iter(arrays))
    if key is None:
        there = ", ".join(sorted(arrays)[:20]) or "none"
        raise DataError(f"{reading.where}: no array of points; there: {there}; possible names: {', '.join(POINTS)}.")
    stored, notes = _load_points(arrays[key], key, reading.where)
    used = {key}
    columns: dict[str, np.ndarray] = {}
    for field, keys in (("colors", COLORS), ("normals", NORMALS)):
        found = next((names[each] for each in keys if each in names and names[each] != key), None)
        if found is not None:
            columns[field] = _load_columns(arrays[found], found, len(stored), reading.where)
            used.add(found)
    if "colors" not in columns and all(each in names for each in CHANNELS):
        channels = [names[each] for each in CHANNELS]
        columns["colors"] = np.stack([_load_channel(arrays[each], each, len(stored), reading) for each in channels], 1)
        used.update(channels)
    if stored.shape[1] == 6 and "colors" not in columns:
        columns["colors"] = stored[:, 3:]
    elif stored.shape[1] == 6:
        notes.append(f"columns 4 to 6 of {key} are not used, as the colors have an array of their own")
    if len(used) < len(arrays):
        rest = sorted(set(arrays) - used)
        notes.append(f"arrays that are not used: {', '.join(rest[:10])}{' …' * (len(rest) > 10)}")
    colors = scale_by_type(columns["colors"], reading) if "colors" in columns else None
    normals = columns["normals"].astype(np.float32) if "normals" in columns else None
    precision = stored.dtype if np.issubdtype(stored.dtype, np.floating) else np.dtype(np.float64)
    return Cloud(stored[:, :3].astype(np.float64), colors, normals, notes=tuple(notes), precision=precision)


def scale_by_type(stored: np.ndarray, reading: Reading) -> np.ndarray:
    """Scale colors to [0, 1]: bytes are 0-255 and 16-bit numbers 0-65535, others as `reading` says; float32."""
    if stored.dtype.kind == "u" and stored.dtype.itemsize <= 2:
        return divide_colors(stored, np.iinfo(stored.dtype).max)
    return scale_colors(stored, reading)


def _load_points(array: NamedArray, name: str, where: str) -> tuple[np.ndarray, list[str]]:
    """Points, ``(N, 3)`` or ``(N, 6)``, and notes."""
    notes = []
    shape = array.shape
    text = f"{where}: {name} has the shape {shape}"
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
        notes.append(f"{name} is a batch of one cloud, {array.shape}")
    if len(shape) != 2:
        raise DataError(f"{text}; a cloud is (N, 6), xyz and rgb, or (N, 3).")
    turned = shape[1] not in (3, 6) and shape[0] in (3, 6)
    if turned:
        notes.append(f"{name} was turned from {shape} to {shape[::-1]}")
    points, columns = shape[::-1] if turned else shape
    if columns not in (3, 6):
        raise DataError(f"{text}; a cloud is (N, 6), xyz and rgb, or (N, 3){advise_columns(shape)}.")
    refuse_many(points, where)
    if array.dtype.kind not in "fiu":
        raise DataError(f"{where}: {name} has the type {array.dtype}; points are floats.")
    stored = array.load().reshape(shape)
    if array.dtype.kind != "f":
        notes.append(f"coordinates are whole numbers ({array.dtype}); their unit is taken as 1")
    return stored.T if turned else stored, notes


def _load_columns(array: NamedArray, name: str, points: int, where: str) -> np.ndarray:
    """Values of the points, ``(N, 3)``."""
    shape = array.shape[1:] if len(array.shape) == 3 and array.shape[0] == 1 else array.shape
    turned = len(shape) == 2 and shape[0] in (3, 4) and shape[1] == points and shape[0] != points
    if not turned and (len(shape) != 2 or shape[0] != points or not 3 <= shape[1] <= 4):
        raise DataError(f"{where}: {name} has the shape {array.shape}; for {points} points it is ({points}, 3).")
    if array.dtype.kind not in "fiu":
        raise DataError(f"{where}: {name} has the type {array.dtype}; it holds numbers.")
    stored = array.load().reshape(shape)
    return (stored.T if turned else stored)[:, :3]


def _load_channel(array: NamedArray, name: str, points: int, reading: Reading) -> np.ndarray:
    if array.shape not in ((points,), (points, 1)) or array.dtype.kind not in "fiu":
        text = f"{name} has the shape {array.shape} and the type {array.dtype}"
        raise DataError(f"{reading.where}: {text}; for {points} points it holds {points} numbers.")
    return array.load().reshape(points)
