"""Clouds from arrays with names, as NPZ and PyTorch files hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    table = _Table(arrays, reading)
    stored, notes = _load_points(*table.points(), reading.where)
    colors = table.colors(len(stored))
    if stored.shape[1] == 6 and colors is not None:
        notes.append("columns 4 to 6 of the points are not used, as the colors have an array of their own")
    elif stored.shape[1] == 6:
        colors = scale_by_type(stored[:, 3:], reading)
    normals = table.columns(NORMALS, len(stored))
    normals = None if normals is None else normals.astype(np.float32)
    rest = sorted(set(arrays) - table.used)
    if rest:
        notes.append(f"arrays that are not used: {', '.join(rest[:10])}{' …' * (len(rest) > 10)}")
    precision = stored.dtype if stored.dtype.kind == "f" else np.dtype(np.float64)
    return Cloud(stored[:, :3].astype(np.float64), colors, normals, notes=tuple(notes), precision=precision)


class _Table:
    """Arrays by name; remembers which were used.

    Args:
        arrays: the arrays.
        reading: how they are read.

    """

    def __init__(self, arrays: Mapping[str, NamedArray], reading: Reading) -> None:
        self.arrays, self.reading = arrays, reading
        self.used: set[str] = set()
        self._names = {name.lower().rpartition("/")[2]: name for name in arrays}

    def points(self) -> tuple[NamedArray, str]:
        """Array of the points, and its name."""
        name = self._find(POINTS)
        if name is None and len(self.arrays) == 1:
            name = next(iter(self.arrays))
        if name is None:
            there = ", ".join(sorted(self.arrays)[:20]) or "none"
            text = f"no array of points; there: {there}; possible names: {', '.join(POINTS)}"
            raise DataError(f"{self.reading.where}: {text}.")
        self.used.add(name)
        return self.arrays[name], name

    def columns(self, names: Sequence[str], points: int) -> np.ndarray | None:
        """Values of the points, ``(N, 3)``, of the first of some names that is there."""
        name = self._find(names)
        if name is None:
            return None
        self.used.add(name)
        return _load_columns(self.arrays[name], name, points, self.reading.where)

    def colors(self, points: int) -> np.ndarray | None:
        """Colors in an array of their own, or in three; None without any."""
        stored = self.columns(COLORS, points)
        if stored is not None:
            return scale_by_type(stored, self.reading)
        names = [self._names.get(each, "") for each in CHANNELS]
        if not all(names):
            return None
        self.used.update(names)
        channels = [_load_channel(self.arrays[each], each, points, self.reading.where) for each in names]
        return stack_colors(channels, self.reading)

    def _find(self, names: Sequence[str]) -> str | None:
        free = (self._names[each] for each in names if self._names.get(each, "") not in {"", *self.used})
        return next(free, None)


def scale_by_type(stored: np.ndarray, reading: Reading) -> np.ndarray:
    """Scale colors to [0, 1] by their type: bytes, 16-bit numbers, or else as `reading` says."""
    if stored.dtype.kind == "u" and stored.dtype.itemsize <= 2:
        return divide_colors(stored, np.iinfo(stored.dtype).max)
    return scale_colors(stored, reading)


def stack_colors(channels: Sequence[np.ndarray], reading: Reading) -> np.ndarray:
    """Join red, green and blue, scaled to [0, 1]; each by its own type if their types differ."""
    if len({each.dtype for each in channels}) == 1:
        return scale_by_type(np.stack(channels, axis=1), reading)
    return np.stack([scale_by_type(each, reading) for each in channels], axis=1)


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


def _load_channel(array: NamedArray, name: str, points: int, where: str) -> np.ndarray:
    if array.shape not in ((points,), (points, 1)) or array.dtype.kind not in "fiu":
        text = f"{name} has the shape {array.shape} and the type {array.dtype}"
        raise DataError(f"{where}: {text}; for {points} points it holds {points} numbers.")
    return array.load().reshape(points)
