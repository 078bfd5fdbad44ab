"""Reading one cloud from a file nobody has vouched for, and saying clearly what is wrong with it.

The ``.npy`` header is read here and not by numpy, so that only plain float arrays get through: nothing is ever
unpickled, and a header that promises more than its file holds allocates nothing.
"""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from jaxtyping import Float32

from spa3d.errors import DataError

Colors = Literal["0-1", "0-255"]
COLOR_SLACK = 1e-3
"""How far a colour may leave its range (as a share of it) and still be a rounding; it is clipped then."""

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
_BYTE = 255.0


def read_npy(
    path: Path, *, record_id: str, colors: Colors = "0-1", columns: int | None = None
) -> Float32[np.ndarray, "N 6"]:
    """The cloud in a ``.npy`` file, ``(N, 6)`` float32: xyz in the file's units, rgb in [0, 1].

    Args:
        path: a file of shape ``(N, 6)``, or ``(N, 3)`` for a cloud without colour (its rgb is then 0).
        record_id: whose cloud it is, for the message.
        colors: the range the file keeps its colours in.
        columns: 3 or 6 where only that many will do, because the data set was found to have them.

    Raises:
        DataError: the file is missing, truncated, pickled, or not a cloud (see `check`); names file and record.

    """
    where = _where(path, record_id)
    with _open(path, where) as file:
        header = _read_header(file, where)
        if columns is not None and columns != header.shape[1]:
            raise DataError(
                f"{where}: {header.shape[1]} columns where other clouds of the data set have {columns}; "
                "keep clouds with and without colour in folders of their own."
            )
        there = os.fstat(file.fileno()).st_size - file.tell()
        if there < header.size:
            raise DataError(f"{where}: truncated: {there} of {header.size} bytes of points; copy it again.")
        body = file.read(header.size)
    stored = np.frombuffer(body, header.dtype).reshape(header.shape, order="F" if header.fortran else "C")
    return from_array(stored, where=where, colors=colors)


def from_array(given: np.ndarray, *, where: str, colors: Colors = "0-1") -> Float32[np.ndarray, "N 6"]:
    """A cloud from an array of coordinates and perhaps colours.

    Args:
        given: ``(N, 6)``, or ``(N, 3)`` for a cloud without colour (its rgb is then 0); floating point.
        where: what the message should call it.
        colors: the range of its colours. They are divided by 255 only where that is asked for, never by a guess.

    Raises:
        DataError: it is no such array, or no cloud (see `check`).

    """
    if given.ndim != 2 or given.shape[1] not in (3, 6):
        raise DataError(f"{where}: shape {given.shape}; a cloud is (N, 6), xyz and rgb, or (N, 3) without colour.")
    if not np.issubdtype(given.dtype, np.floating):
        raise DataError(f"{where}: dtype {given.dtype}; a cloud holds floats (convert it with .astype('float32')).")
    cloud = np.zeros((len(given), 6), dtype=np.float32)
    with np.errstate(over="ignore"):  # what does not fit float32 becomes infinite, and `check` says so
        cloud[:, : given.shape[1]] = given
    if given.shape[1] == 6 and np.isfinite(cloud).all():
        cloud[:, 3:] = _unit_colors(cloud[:, 3:], colors, where)
    _refuse_unsound(cloud, where)
    return cloud


def columns(path: Path, *, record_id: str) -> int:
    """6 for a file with colours, 3 for one without; reads the header only. Raises `DataError` as `read_npy` does."""
    where = _where(path, record_id)
    with _open(path, where) as file:
        return _read_header(file, where).shape[1]


def check(cloud: np.ndarray, *, source: Path | str, record_id: str) -> None:
    """Refuse an array that is not a cloud as `Record.cloud` promises it.

    Args:
        cloud: what should be ``(N, 6)`` float32, finite, with rgb in [0, 1].
        source: where it came from: a file, or the name of a generator.
        record_id: whose cloud it is.

    Raises:
        DataError: wrong shape or dtype, no points, NaN or infinity, colours outside [0, 1].

    """
    _refuse_unsound(cloud, _where(source, record_id))


def require_points(cloud: np.ndarray, minimum: int, *, record_id: str, asked_by: str, source: Path | str = "") -> None:
    """Refuse a cloud with fewer than `minimum` points.

    Args:
        cloud: ``(N, C)``.
        minimum: the encoder's ``min_points``.
        record_id: whose cloud it is.
        asked_by: who needs so many, as the message should call it: ``"encoder pointnext"``.
        source: the cloud's file, where it is known.

    Raises:
        DataError: naming record, the two numbers and who asks.

    """
    if len(cloud) < minimum:
        raise DataError(
            f"{_where(source, record_id)}: {len(cloud)} points, but {asked_by} needs at least {minimum}. "
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


@dataclass(frozen=True)
class _Header:
    dtype: np.dtype[np.floating]
    shape: tuple[int, int]
    fortran: bool

    @property
    def size(self) -> int:
        """Bytes of the array behind the header."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize


def _open(path: Path, where: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{where}: there is no such file.") from error
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror}.") from error


def _read_header(file: BinaryIO, where: str) -> _Header:
    """The header of the NEP 1 format; leaves `file` at the first byte of the array."""
    start = file.read(8)
    if not start:
        raise DataError(f"{where}: the file is empty; copy it again.")
    if start.startswith((b"\x80", b"PK")):
        kind = "a pickle, which is never loaded" if start[0] == 0x80 else "an archive (.npz)"
        raise DataError(f"{where}: {kind}; save the float32 array itself with numpy.save.")
    if not start.startswith(_MAGIC):
        raise DataError(f"{where}: not a .npy file; save the float32 array with numpy.save.")
    length = int.from_bytes(file.read(2 if start[6:7] == b"\x01" else 4), "little")
    text = file.read(min(length, _LONGEST_HEADER))
    if len(text) < length <= _LONGEST_HEADER:
        raise DataError(f"{where}: truncated inside its header; copy it again.")
    try:
        fields = ast.literal_eval(text.decode("utf-8" if start[6:7] == b"\x03" else "latin-1"))
        descr, shape, fortran = fields["descr"], fields["shape"], fields["fortran_order"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise DataError(f"{where}: its .npy header cannot be read; save it again with numpy.save.") from error
    return _Header(_float_dtype(descr, where), _cloud_shape(shape, where), bool(fortran))


def _float_dtype(descr: object, where: str) -> np.dtype[np.floating]:
    if isinstance(descr, str) and descr in {f"{order}f{width}" for order in "<>=|" for width in (2, 4, 8)}:
        return np.dtype(descr)
    if isinstance(descr, str) and "O" in descr:
        raise DataError(f"{where}: pickled objects are never loaded; save the float32 array with numpy.save.")
    raise DataError(f"{where}: dtype {descr!r}; a cloud holds floats (save it with .astype('float32')).")


def _cloud_shape(shape: object, where: str) -> tuple[int, int]:
    match shape:
        case (int(points), int(channels)) if points >= 0 and channels in (3, 6):
            return points, channels
    raise DataError(f"{where}: shape {shape!r}; a cloud is (N, 6), xyz and rgb, or (N, 3) without colour.")


def _unit_colors(rgb: np.ndarray, colors: Colors, where: str) -> np.ndarray:
    """Colours in [0, 1] from the file's range; what cannot be of that range raises."""
    top = _BYTE if colors == "0-255" else 1.0
    low, high = float(rgb.min(initial=0)), float(rgb.max(initial=0))
    if low < -COLOR_SLACK * top or high > top * (1 + COLOR_SLACK):
        raise DataError(f"{where}: {_range_fault(low, high, top)}")
    if colors == "0-255" and 0 < high <= 1 and (rgb % 1 != 0).any():
        raise DataError(f"{where}: colours look like 0-1 (largest {high:.3g}); drop --dataset.colors 0-255.")
    return np.clip(rgb / np.float32(top), 0, 1)


def _range_fault(low: float, high: float, top: float) -> str:
    if top == 1 and low >= 0 and high <= _BYTE:
        return f"colours look like 0-255 (largest {high:.4g}); divide by 255 or pass --dataset.colors 0-255."
    return f"colours reach from {low:.4g} to {high:.4g}, expected 0 to {top:.0f}; are the columns x y z r g b?"


def _where(source: Path | str, record_id: str) -> str:
    return f"{source} (record {record_id})" if str(source) else f"record {record_id}"
