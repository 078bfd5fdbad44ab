"""Repairs of a cloud: steps that the user or the doctor chooses, applied to a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from spa3d.data.cloud_checks import COLOR_SLACK, cloud_radius
from spa3d.data.doctor.outliers import find_outliers
from spa3d.data.doctor.rows import find_repeats, finite_rows
from spa3d.data.formats.contract import Cloud
from spa3d.errors import DataError
from spa3d.rendering.numbers import format_count
from spa3d.runtime.rng import Key, keyed_generator

UP_AXES = ("x", "y", "z", "-x", "-y", "-z")
"""Directions of a file that may point up."""
_TURNS = {
    # Columns of the file that become x, y and z, and their signs: proper rotations, so nothing is mirrored.
    "y": ((0, 1, 2), (1, 1, 1)),
    "z": ((1, 2, 0), (1, 1, 1)),
    "x": ((2, 0, 1), (1, 1, 1)),
    "-y": ((0, 1, 2), (1, -1, -1)),
    "-z": ((0, 2, 1), (1, -1, 1)),
    "-x": ((1, 0, 2), (1, -1, 1)),
}


@dataclass(frozen=True)
class Repairs:
    """Steps of a repair, applied in the order of the attributes.

    Attributes:
        drop_invalid: leave out points with NaN or infinity.
        colors: range of the colors in the file, ``(low, high)``; they become 0 to 1.
        drop_colors: leave the colors out.
        color: color of a cloud without colors, three numbers from 0 to 1.
        drop_duplicates: keep the first of several points at one place.
        drop_outliers: leave out the points that `find_outliers` finds.
        up_axis: the direction that points up in the file (one of `UP_AXES`); it becomes y.
        center: move the centroid to the origin.
        scale: factor of the coordinates; 0 scales to the unit sphere: largest distance 1 from the centroid.
        resample: number of points; fewer ones are drawn at random, more ones are repeats.

    """

    drop_invalid: bool = False
    colors: tuple[float, float] | None = None
    drop_colors: bool = False
    color: tuple[float, float, float] | None = None
    drop_duplicates: bool = False
    drop_outliers: bool = False
    up_axis: str | None = None
    center: bool = False
    scale: float | None = None
    resample: int | None = None

    def __bool__(self) -> bool:
        return self != Repairs()

    def __or__(self, other: Repairs) -> Repairs:
        """The steps of both; where both set one, those of `other`."""
        changed = {each.name: getattr(other, each.name) for each in fields(other)}
        return replace(self, **{name: value for name, value in changed.items() if value not in (None, False)})

    def flags(self) -> str:
        """The flags of ``spa3d doctor --fix`` for these steps."""
        words = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None or value is False:
                continue
            flag = f"--{each.name.replace('_', '-')}"
            words.append(flag if value is True else f"{flag} {_show(each.name, value)}")
        return " ".join(words)

    def apply(self, cloud: Cloud, *, key: Key = ("repair", 0)) -> tuple[Cloud, list[str]]:
        """Apply the steps to a copy of `cloud`.

        Args:
            cloud: as read, possibly invalid.
            key: key of the draws of `resample`.

        Returns:
            The repaired cloud, float64, and a line per step: what it changed.

        Raises:
            DataError: a step is not possible; the message says which.

        """
        log = []
        for step in self._steps(key):
            cloud, line = step(cloud)
            log.append(line)
            if not len(cloud):
                raise DataError(f"{cloud.source}: after '{line}' no point is left")
        return cloud, log

    def _steps(self, key: Key) -> Iterator[Callable[[Cloud], tuple[Cloud, str]]]:
        if self.drop_invalid:
            yield lambda cloud: _keep(cloud, finite_rows(cloud), "with NaN or infinity")
        if self.colors:
            low, high = self.colors
            yield lambda cloud: _scale_colors(cloud, low, high)
        if self.drop_colors:
            yield lambda cloud: (replace(cloud, colors=None), "left the colors out")
        if self.color:
            color = self.color
            yield lambda cloud: _fill_color(cloud, color)
        if self.drop_duplicates:
            yield lambda cloud: _keep(cloud, ~find_repeats(cloud.points), "that repeat another one")
        if self.drop_outliers:
            yield lambda cloud: _keep(cloud, ~find_outliers(cloud.points).mask, "far from the rest")
        if self.up_axis:
            axis = self.up_axis
            yield lambda cloud: _turn(cloud, axis)
        if self.center:
            yield _center
        if self.scale is not None:
            factor = self.scale
            yield lambda cloud: _scale(cloud, factor)
        if self.resample:
            count = self.resample
            yield lambda cloud: _resample(cloud, count, key)


def _show(name: str, value: object) -> str:
    """Value of a step as its flag takes it."""
    if name == "colors" and isinstance(value, tuple):
        return "-".join(f"{number:g}" for number in value)
    if isinstance(value, tuple):
        return ",".join(f"{number:g}" for number in value)
    return "unit" if name == "scale" and value == 0 else f"{value:.17g}" if isinstance(value, float) else str(value)


def select(cloud: Cloud, rows: np.ndarray) -> Cloud:
    """The points at `rows` (a mask, or indices), with their colors and normals."""
    colors = None if cloud.colors is None else cloud.colors[rows]
    normals = None if cloud.normals is None else cloud.normals[rows]
    return replace(cloud, points=cloud.points[rows], colors=colors, normals=normals)


def _keep(cloud: Cloud, mask: np.ndarray, what: str) -> tuple[Cloud, str]:
    lost = int((~mask).sum())
    return select(cloud, mask), f"dropped {format_count(lost, 'point')} {what}"


def _scale_colors(cloud: Cloud, low: float, high: float) -> tuple[Cloud, str]:
    if cloud.colors is None:
        return cloud, "has no colors to scale"
    scaled = (cloud.colors.astype(np.float64) - low) / (high - low)
    if ((scaled < -COLOR_SLACK) | (scaled > 1 + COLOR_SLACK)).any():  # NaN is for the check of the result
        raise DataError(
            f"{cloud.source}: --colors {low:g}-{high:g}: its colors reach from {cloud.colors.min():.4g} to "
            f"{cloud.colors.max():.4g}"
        )
    colors = np.clip(scaled, 0, 1).astype(np.float32)
    return replace(cloud, colors=colors), f"scaled the colors from {low:g} to {high:g} to 0 to 1"


def _fill_color(cloud: Cloud, color: tuple[float, float, float]) -> tuple[Cloud, str]:
    if cloud.colors is not None and cloud.colors.any():
        return cloud, "kept its own colors"
    colors = np.tile(np.array(color, np.float32), (len(cloud), 1))
    return replace(cloud, colors=colors), f"gave all points the color {', '.join(f'{part:g}' for part in color)}"


def _turn(cloud: Cloud, axis: str) -> tuple[Cloud, str]:
    order, signs = _TURNS[axis]

    def turn(vectors: np.ndarray) -> np.ndarray:
        return vectors[:, order] * np.array(signs, vectors.dtype)

    normals = None if cloud.normals is None else turn(cloud.normals)
    return replace(cloud, points=turn(cloud.points), normals=normals), f"rotated {axis} up to y up"


def _center(cloud: Cloud) -> tuple[Cloud, str]:
    middle = cloud.points.mean(axis=0)
    moved = ", ".join(f"{-value:.9g}" for value in middle)
    return replace(cloud, points=cloud.points - middle), f"moved all points by ({moved})"


def _scale(cloud: Cloud, factor: float) -> tuple[Cloud, str]:
    if factor:
        return replace(cloud, points=cloud.points * factor), f"scaled by {factor:.9g}"
    cloud, line = _center(cloud)
    radius = cloud_radius(cloud.points)
    if not radius > 0:
        raise DataError(f"{cloud.source}: --scale unit: all points are in one place")
    return replace(cloud, points=cloud.points / radius), f"{line} and scaled by {1 / radius:.9g}"


def _resample(cloud: Cloud, count: int, key: Key) -> tuple[Cloud, str]:
    before, draws = len(cloud), keyed_generator("resample", *key)
    if count <= before:
        rows = np.sort(draws.choice(before, count, replace=False))
    else:
        rows = np.concatenate([np.arange(before), draws.integers(before, size=count - before)])
    return select(cloud, rows), f"resampled {format_count(before, 'point')} to {count:,}"
