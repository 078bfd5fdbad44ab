"""Checks of untrusted clouds, with messages that name the file, the record and the error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from spa3d.contracts.dataset import CloudArray
from spa3d.errors import DataError

Colors = Literal["0-1", "0-255"]
COLOR_SLACK = 1e-3
"""Tolerance for colors outside their range, as a share of it: rounding errors are clipped."""
COARSE = 1e-3
"""Largest rounding error of a coordinate, as a share of the cloud's radius (largest distance to the centroid)."""

_BYTE = 255.0
_BLOCK = 1 << 18
"""Points that are checked at a time, so that the check of a large cloud needs little memory of its own."""


def from_array(array: np.ndarray, *, where: str, colors: Colors = "0-1") -> CloudArray:
    """Build a cloud from an array of coordinates, with or without colors.

    float16 becomes float32, which holds the same numbers. float64 stays float64, because coordinates far from the
    origin, such as UTM, would lose their shape in float32: `spa3d.data.preparation.prepare` centers them first.
    Integers are refused, because it is not known what a unit of them is.

    Args:
        array: ``(N, 6)``, or ``(N, 3)`` for a cloud without color (its rgb is then 0); floating point.
        where: name of the cloud in messages.
        colors: range of the colors. Only ``0-255`` divides them by 255; the range is never guessed.

    Raises:
        DataError: the array has another shape or dtype, or is not a valid cloud (see `check`).

    """
    if colors not in get_args(Colors):
        raise DataError(f"colors: {colors!r}; possible: {', '.join(get_args(Colors))}")
    if not isinstance(array, np.ndarray):
        hint = "read a .npy file with numpy.load, convert a tensor with .numpy() and a list with numpy.array"
        raise DataError(f"{where}: a {type(array).__name__}; a cloud is a numpy array ({hint}).")
    if array.ndim != 2 or array.shape[1] not in (3, 6):
        raise DataError(f"{where}: shape {array.shape}; a cloud is (N, 6), xyz and rgb, or (N, 3) without color.")
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"{where}: dtype {array.dtype}; a cloud holds floats (convert it with .astype('float64')).")
    cloud = np.zeros((len(array), 6), dtype=np.float64 if array.dtype.itemsize > 4 else np.float32)
    cloud[:, : array.shape[1]] = array
    rgb = cloud[:, 3:] if array.shape[1] == 6 else None
    finish_columns(cloud[:, :3], rgb, precision=array.dtype, where=where, colors=colors)
    return cloud


def finish_columns(
    points: Float[np.ndarray, "N 3"],
    rgb: Float[np.ndarray, "N 3"] | None,
    *,
    precision: np.dtype[Any],
    where: str,
    colors: Colors = "0-1",
) -> None:
    """Check the columns of a cloud, and scale its colors to [0, 1] in place.

    Args:
        points: coordinates, ``(N, 3)``.
        rgb: colors, ``(N, 3)``, changed in place; None without color.
        precision: type that the coordinates were rounded to.
        where: name of the cloud in messages.
        colors: range of the colors.

    Raises:
        DataError: no points, NaN or infinity, colors outside their range, or coordinates too coarse for the extent.

    """
    if rgb is not None and all(np.isfinite(rgb[rows]).all() for rows in _blocks(len(rgb))):
        _scale_colors(rgb, colors, where)
    _reject_not_finite(where, points, *([] if rgb is None else [rgb]))
    reject_coarse(points, precision, where)


def check(cloud: np.ndarray, *, source: Path | str, record_id: str) -> None:
    """Reject an array that is not a valid cloud of `Record.cloud`.

    Args:
        cloud: expected ``(N, 6)`` float32 or float64, finite, with rgb in [0, 1].
        source: origin of the cloud: a file, or the name of a generator.
        record_id: id of the record.

    Raises:
        DataError: wrong shape or dtype, no points, NaN or infinity, colors outside [0, 1], coordinates too coarse for
            the extent.

    """
    where = cloud_location(source, record_id)
    _reject_invalid(cloud, where)
    reject_coarse(cloud[:, :3], cloud.dtype, where)


def reject_coarse(xyz: Float[np.ndarray, "N 3"], dtype: np.dtype[Any], where: str) -> None:
    """Reject coordinates so far from the origin that rounding to `dtype` changes the shape.

    Args:
        xyz: coordinates; at least one point.
        dtype: the type that they were, or will be, rounded to.
        where: name of the cloud in messages.

    Raises:
        DataError: the rounding error exceeds `COARSE`; the message has both figures.

    """
    largest = np.maximum(xyz.max(), -xyz.min())
    error = float(np.spacing(largest.astype(dtype))) / 2
    mean = xyz.mean(axis=0, dtype=np.float64)
    radius = max(cloud_radius(xyz[rows] - mean) for rows in _blocks(len(xyz)))
    if radius > 0 and not error <= COARSE * radius:
        raise DataError(
            f"{where}: {dtype.name} is too coarse for the coordinates: near {largest:.7g} it rounds by up to "
            f"{error:.2g}, {error / radius:.2g} of the cloud's radius of {radius:.3g} (allowed: {COARSE:g}); subtract "
            "the center before saving, or save float64."
        )


def is_colored(cloud: CloudArray, stated: bool | None) -> bool:
    """Whether a cloud has real colors.

    With `stated` None only the cloud says so: it has, unless its rgb is all 0.
    """
    return bool(cloud[:, 3:].any()) if stated is None else stated


def cloud_radius(centered: Float[np.ndarray, "N 3"]) -> float:
    """Largest distance to the origin, computed in float64."""
    return float(np.sqrt(np.square(centered, dtype=np.float64).sum(axis=1).max()))


def require_points(
    cloud: np.ndarray, minimum: int, *, record_id: str, requested_by: str, source: Path | str = ""
) -> None:
    """Reject a cloud with fewer than `minimum` points.

    Args:
        cloud: ``(N, C)``.
        minimum: the encoder's ``min_points``.
        record_id: id of the record.
        requested_by: name of the component that sets the minimum: ``"encoder pointnext"``.
        source: file of the cloud, if known.

    Raises:
        DataError: too few points; the message names the record, both numbers and `requested_by`.

    """
    if len(cloud) < minimum:
        raise DataError(
            f"{cloud_location(source, record_id)}: {len(cloud)} points, but {requested_by} needs at least {minimum}. "
            "Use denser clouds, or an encoder (or a setting of it) that needs fewer points."
        )


def _reject_invalid(cloud: np.ndarray, where: str) -> None:
    if cloud.ndim != 2 or cloud.shape[1] != 6:
        raise DataError(f"{where}: shape {cloud.shape}; a cloud is (N, 6), xyz and rgb.")
    if cloud.dtype not in (np.float32, np.float64):
        raise DataError(f"{where}: dtype {cloud.dtype}; a cloud is float32 or float64.")
    _reject_not_finite(where, cloud)
    low, high = float(cloud[:, 3:].min()), float(cloud[:, 3:].max())
    if low < 0 or high > 1:
        raise DataError(f"{where}: {_describe_range_error(low, high, 1.0)}")


def _reject_not_finite(where: str, *columns: np.ndarray) -> None:
    """Reject a cloud without points, with NaN or infinity, or with more than float32 holds."""
    points, invalid, first = len(columns[0]), 0, 0
    if not points:
        raise DataError(f"{where}: the cloud has no points.")
    largest = np.finfo(np.float32).max
    for rows in _blocks(points):
        finite = np.all([(np.abs(each[rows]) <= largest).all(axis=1) for each in columns], axis=0)  # nan is false
        if not finite.all():
            first = first if invalid else rows.start + int(np.argmin(finite))
            invalid += int((~finite).sum())
    if invalid:
        raise DataError(f"{where}: NaN or infinity in {invalid} of {points} points, first in point {first}.")


def _blocks(points: int) -> Iterator[slice]:
    """Rows of `points` points, `_BLOCK` at a time."""
    return (slice(start, min(start + _BLOCK, points)) for start in range(0, points, _BLOCK))


def _scale_colors(rgb: np.ndarray, colors: Colors, where: str) -> None:
    """Scale colors in place from the range `colors` to [0, 1]; raises `DataError` outside of it."""
    top = _BYTE if colors == "0-255" else 1.0
    low, high = float(rgb.min(initial=0)), float(rgb.max(initial=0))
    if low < -COLOR_SLACK * top or high > top * (1 + COLOR_SLACK):
        raise DataError(f"{where}: {_describe_range_error(low, high, top)}")
    if colors == "0-255":
        refuse_unit_colors(rgb, where)
        np.divide(rgb, np.float32(top), out=rgb)
    np.clip(rgb, 0, 1, out=rgb)


def refuse_unit_colors(rgb: np.ndarray, where: str) -> None:
    """Raise `DataError` if colors that are said to be 0-255 can only be 0-1."""
    high = float(rgb.max(initial=0))
    if 0 < high <= 1 and any((rgb[rows] % 1 != 0).any() for rows in _blocks(len(rgb))):
        raise DataError(
            f"{where}: colors look like 0-1 (largest {high:.3g}); drop --dataset.colors 0-255, or --colors."
        )


def _describe_range_error(low: float, high: float, top: float) -> str:
    if top == 1 and low >= 0 and high <= _BYTE:
        return (
            f"colors look like 0-255 (largest {high:.4g}); divide by 255 or pass --dataset.colors 0-255 "
            "(chat, predict and preview cloud: --colors 0-255)."
        )
    return f"colors reach from {low:.4g} to {high:.4g}, expected 0 to {top:.0f}; are the columns x y z r g b?"


def cloud_location(source: Path | str, record_id: str) -> str:
    """Location of a cloud for messages: file and record; either may be empty."""
    if not record_id:
        return str(source)
    return f"{source} (record {record_id})" if str(source) else f"record {record_id}"
