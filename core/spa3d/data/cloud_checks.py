"""Checks of untrusted clouds, with messages that name the file, the record and the error."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from spa3d.errors import DataError

Colors = Literal["0-1", "0-255"]
COLOR_SLACK = 1e-3
"""Tolerance for colors outside their range, as a share of it: rounding errors are clipped."""

_BYTE = 255.0


def from_array(array: np.ndarray, *, where: str, colors: Colors = "0-1") -> Float32[np.ndarray, "N 6"]:
    """Build a cloud from an array of coordinates, with or without colors.

    Args:
        array: ``(N, 6)``, or ``(N, 3)`` for a cloud without color (its rgb is then 0); floating point.
        where: name of the cloud in messages.
        colors: range of the colors. Only ``0-255`` divides them by 255; the range is never guessed.

    Raises:
        DataError: the array has another shape or dtype, or is not a valid cloud (see `check`).

    """
    if array.ndim != 2 or array.shape[1] not in (3, 6):
        raise DataError(f"{where}: shape {array.shape}; a cloud is (N, 6), xyz and rgb, or (N, 3) without color.")
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"{where}: dtype {array.dtype}; a cloud holds floats (convert it with .astype('float32')).")
    cloud = np.zeros((len(array), 6), dtype=np.float32)
    with np.errstate(over="ignore"):  # values beyond float32 become infinite and are rejected below
        cloud[:, : array.shape[1]] = array
    if array.shape[1] == 6 and np.isfinite(cloud).all():
        cloud[:, 3:] = _scale_colors(cloud[:, 3:], colors, where)
    _reject_invalid(cloud, where)
    return cloud


def check(cloud: np.ndarray, *, source: Path | str, record_id: str) -> None:
    """Reject an array that is not a valid cloud of `Record.cloud`.

    Args:
        cloud: expected ``(N, 6)`` float32, finite, with rgb in [0, 1].
        source: origin of the cloud: a file, or the name of a generator.
        record_id: id of the record.

    Raises:
        DataError: wrong shape or dtype, no points, NaN or infinity, colors outside [0, 1].

    """
    _reject_invalid(cloud, cloud_location(source, record_id))


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
    if cloud.dtype != np.float32:
        raise DataError(f"{where}: dtype {cloud.dtype}; a cloud is float32.")
    if not len(cloud):
        raise DataError(f"{where}: the cloud has no points.")
    finite = np.isfinite(cloud).all(axis=1)
    if not finite.all():
        invalid, first = int((~finite).sum()), int(np.argmin(finite))
        raise DataError(f"{where}: NaN or infinity in {invalid} of {len(cloud)} points, first in point {first}.")
    low, high = float(cloud[:, 3:].min()), float(cloud[:, 3:].max())
    if low < 0 or high > 1:
        raise DataError(f"{where}: {_describe_range_error(low, high, 1.0)}")


def _scale_colors(rgb: np.ndarray, colors: Colors, where: str) -> np.ndarray:
    """Scale colors from the range `colors` to [0, 1]; raises `DataError` outside of the range."""
    top = _BYTE if colors == "0-255" else 1.0
    low, high = float(rgb.min(initial=0)), float(rgb.max(initial=0))
    if low < -COLOR_SLACK * top or high > top * (1 + COLOR_SLACK):
        raise DataError(f"{where}: {_describe_range_error(low, high, top)}")
    if colors == "0-255" and 0 < high <= 1 and (rgb % 1 != 0).any():
        raise DataError(f"{where}: colors look like 0-1 (largest {high:.3g}); drop --dataset.colors 0-255.")
    return np.clip(rgb / np.float32(top), 0, 1)


def _describe_range_error(low: float, high: float, top: float) -> str:
    if top == 1 and low >= 0 and high <= _BYTE:
        return f"colors look like 0-255 (largest {high:.4g}); divide by 255 or pass --dataset.colors 0-255."
    return f"colors reach from {low:.4g} to {high:.4g}, expected 0 to {top:.0f}; are the columns x y z r g b?"


def cloud_location(source: Path | str, record_id: str) -> str:
    """Location of a cloud for messages: file and record."""
    return f"{source} (record {record_id})" if str(source) else f"record {record_id}"
