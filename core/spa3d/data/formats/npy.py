"""Reader of clouds in ``.npy`` files, without numpy's own reader.

Only plain float arrays are accepted. Nothing is ever unpickled, and memory is allocated only for data that the file
really contains.
"""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spa3d.contracts.dataset import CloudArray
from spa3d.data.cloud_checks import Colors, cloud_location, from_array
from spa3d.data.formats.contract import MOST_POINTS, Cloud, CloudFormat, Reading, scale_colors
from spa3d.errors import DataError
from spa3d.runtime.paths import open_file

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000


def read_npy(path: Path, *, record_id: str, colors: Colors = "0-1", columns: int | None = None) -> CloudArray:
    """Read a cloud, ``(N, 6)``: xyz in the units of the file, rgb in [0, 1].

    The type is float64 if the file is float64, else float32.

    Args:
        path: a file of shape ``(N, 6)``, or ``(N, 3)`` for a cloud without color (its rgb is then 0).
        record_id: id of the record, for messages.
        colors: range of the colors in the file.
        columns: required number of columns, that of the other clouds of the data set (3 or 6); None accepts both.

    Raises:
        DataError: the file is missing, truncated, pickled, or not a cloud (see `check`); the message names
            file and record.

    """
    where = cloud_location(path, record_id)
    with open_file(path, where, DataError) as file:
        header = _read_header(file, where)
        if columns is not None and columns != header.shape[1]:
            raise DataError(
                f"{where}: {header.shape[1]} columns where other clouds of the data set have {columns}; "
                "keep clouds with and without color in separate folders."
            )
        stored = _read_body(file, header, where)
    return from_array(stored, where=where, colors=colors)


def columns(path: Path, *, record_id: str) -> int:
    """Number of columns of a file, from its header: 6 with colors, 3 without.

    Raises `DataError` as `read_npy` does.
    """
    where = cloud_location(path, record_id)
    with open_file(path, where, DataError) as file:
        return _read_header(file, where).shape[1]


def _read_cloud(path: Path, reading: Reading) -> Cloud:
    with open_file(path, reading.where, DataError) as file:
        stored = _read_body(file, _read_header(file, reading.where), reading.where)
    colors = scale_colors(stored[:, 3:], reading) if stored.shape[1] == 6 else None
    return Cloud(stored[:, :3].astype(np.float64), colors, precision=stored.dtype)


FORMAT = CloudFormat("NumPy", (".npy",), _read_cloud, "a float array (N, 6), xyz and rgb, or (N, 3)")


@dataclass(frozen=True)
class _Header:
    dtype: np.dtype[np.floating]
    shape: tuple[int, int]
    fortran: bool

    @property
    def size(self) -> int:
        """Bytes of the array behind the header."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize


def _read_header(file: BinaryIO, where: str) -> _Header:
    """Read the header (NEP 1 format); leaves `file` at the first byte of the array."""
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


def _read_body(file: BinaryIO, header: _Header, where: str) -> np.ndarray:
    """Read the array behind the header, if all of it is there."""
    available = os.fstat(file.fileno()).st_size - file.tell()
    if available < header.size:
        raise DataError(f"{where}: truncated: {available} of {header.size} bytes of points; copy it again.")
    if header.shape[0] > MOST_POINTS:
        raise DataError(f"{where}: {header.shape[0]:,} points; thin them out to at most {MOST_POINTS:,}.")
    stored = np.frombuffer(file.read(header.size), header.dtype)
    return stored.reshape(header.shape, order="F" if header.fortran else "C")


def _float_dtype(descr: object, where: str) -> np.dtype[np.floating]:
    if isinstance(descr, str) and descr in {f"{order}f{width}" for order in "<>=|" for width in (2, 4, 8)}:
        return np.dtype(descr)
    if isinstance(descr, str) and "O" in descr:
        raise DataError(f"{where}: pickled objects are never loaded; save the float32 array with numpy.save.")
    raise DataError(f"{where}: dtype {descr!r}; a cloud holds float16, float32 or float64.")


def _cloud_shape(shape: object, where: str) -> tuple[int, int]:
    match shape:
        case (int(points), int(channels)) if type(points) is int and points >= 0 and channels in (3, 6):
            return points, channels
    text = f"{where}: shape {shape!r}; a cloud is (N, 6), xyz and rgb, or (N, 3) without color"
    raise DataError(f"{text}{advise_columns(shape) if isinstance(shape, tuple) else ''}.")


def advise_columns(shape: tuple[object, ...]) -> str:
    """End of a message about a wrong shape, which says what to do; empty if it is no table."""
    match shape:
        case (3 | 6, int()):
            return "; turn it with array.T"
        case (int(), int(columns)) if columns > 3:
            return "; save the columns of x y z, or of x y z r g b, alone, as in array[:, :3]"
    return ""
