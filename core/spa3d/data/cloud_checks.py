"""Reading one cloud from a file nobody has vouched for, and saying clearly what is wrong with it.

The ``.npy`` header is read here and not by numpy, so that only plain float arrays get through: nothing is ever
unpickled, and a header that promises more than its file holds allocates nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from spa3d.errors import DataError

Colors = Literal["0-1", "0-255"]
COLOR_SLACK = 1e-3
"""How far a color may leave its range (as a share of it) and still be a rounding; it is clipped then."""

_BYTE = 255.0


def from_array(given: np.ndarray, *, where: str, colors: Colors = "0-1") -> Float32[np.ndarray, "N 6"]:
    """A cloud from an array of coordinates and perhaps colors.

    Args:
        given: ``(N, 6)``, or ``(N, 3)`` for a cloud without color (its rgb is then 0); floating point.
        where: what the message should call it.
        colors: the range of its colors. They are divided by 255 only where that is asked for, never by a guess.

    Raises:
        DataError: it is no such array, or no cloud (see `check`).

    """
    if given.ndim != 2 or given.shape[1] not in (3, 6):
        raise DataError(f"{where}: shape {given.shape}; a cloud is (N, 6), xyz and rgb, or (N, 3) without color.")
    if not np.issubdtype(given.dtype, np.floating):
        raise DataError(f"{where}: dtype {given.dtype}; a cloud holds floats (convert it with .astype('float32')).")
    cloud = np.zeros((len(given), 6), dtype=np.float32)
    with np.errstate(over="ignore"):  # what does not fit float32 becomes infinite, and `check` says so
        cloud[:, : given.shape[1]] = given
    if given.shape[1] == 6 and np.isfinite(cloud).all():
        cloud[:, 3:] = _unit_colors(cloud[:, 3:], colors, where)
    _refuse_unsound(cloud, where)
    return cloud


def check(cloud: np.ndarray, *, source: Path | str, record_id: str) -> None:
    """Refuse an array that is not a cloud as `Record.cloud` promises it.

    Args:
        cloud: what should be ``(N, 6)`` float32, finite, with rgb in [0, 1].
        source: where it came from: a file, or the name of a generator.
        record_id: whose cloud it is.

    Raises:
        DataError: wrong shape or dtype, no points, NaN or infinity, colors outside [0, 1].

    """
    _refuse_unsound(cloud, cloud_location(source, record_id))


def require_points(
    cloud: np.ndarray, minimum: int, *, record_id: str, requested_by: str, source: Path | str = ""
) -> None:
    """Refuse a cloud with fewer than `minimum` points.

    Args:
        cloud: ``(N, C)``.
        minimum: the encoder's ``min_points``.
        record_id: whose cloud it is.
        requested_by: who needs so many, as the message should call it: ``"encoder pointnext"``.
        source: the cloud's file, where it is known.

    Raises:
        DataError: naming record, the two numbers and who asks.

    """
    if len(cloud) < minimum:
        raise DataError(
            f"{cloud_location(source, record_id)}: {len(cloud)} points, but {requested_by} needs at least {minimum}. "
            "Give it denser clouds, or choose an encoder (or a configuration of it) that needs fewer."
        )


def _refuse_unsound(cloud: np.ndarray, where: str) -> None:
    if cloud.ndim != 2 or cloud.shape[1] != 6:
        raise DataError(f"{where}: shape {cloud.shape}; a cloud is (N, 6), xyz and rgb.")
    if cloud.dtype != np.float32:
        raise DataError(f"{where}: dtype {cloud.dtype}; a cloud is float32.")
    if not len(cloud):
        raise DataError(f"{where}: the cloud has no points.")
    finite = np.isfinite(cloud).all(axis=1)
    if not finite.all():
        bad, first = int((~finite).sum()), int(np.argmin(finite))
        raise DataError(f"{where}: NaN or infinity in {bad} of {len(cloud)} points, first in point {first}.")
    low, high = float(cloud[:, 3:].min()), float(cloud[:, 3:].max())
    if low < 0 or high > 1:
        raise DataError(f"{where}: {_range_fault(low, high, 1.0)}")


def _unit_colors(rgb: np.ndarray, colors: Colors, where: str) -> np.ndarray:
    """Colors in [0, 1] from the file's range; what cannot be of that range raises."""
    top = _BYTE if colors == "0-255" else 1.0
    low, high = float(rgb.min(initial=0)), float(rgb.max(initial=0))
    if low < -COLOR_SLACK * top or high > top * (1 + COLOR_SLACK):
        raise DataError(f"{where}: {_range_fault(low, high, top)}")
    if colors == "0-255" and 0 < high <= 1 and (rgb % 1 != 0).any():
        raise DataError(f"{where}: colors look like 0-1 (largest {high:.3g}); drop --dataset.colors 0-255.")
    return np.clip(rgb / np.float32(top), 0, 1)


def _range_fault(low: float, high: float, top: float) -> str:
    if top == 1 and low >= 0 and high <= _BYTE:
        return f"colors look like 0-255 (largest {high:.4g}); divide by 255 or pass --dataset.colors 0-255."
    return f"colors reach from {low:.4g} to {high:.4g}, expected 0 to {top:.0f}; are the columns x y z r g b?"


def cloud_location(source: Path | str, record_id: str) -> str:
    """File and record of a cloud, as messages name them."""
    return f"{source} (record {record_id})" if str(source) else f"record {record_id}"
