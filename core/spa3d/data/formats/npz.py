"""Reader of clouds in ``.npz`` archives of numpy arrays.

Nothing is unpickled, and nothing is extracted to a file.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spa3d.data.formats.contract import MOST_POINTS, Cloud, CloudFormat, Reading
from spa3d.data.formats.named_arrays import NamedArray, build_cloud
from spa3d.errors import DataError
from spa3d.runtime.paths import open_file

_MOST_ARRAYS = 1000
_MOST_BYTES = MOST_POINTS * 6 * 8
"""Largest array that is read: a float64 cloud of the largest size with colors."""
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    MemoryError,
)
"""What the zip and header readers raise on broken input; NotImplementedError: an unknown compression."""


def _read(path: Path, reading: Reading) -> Cloud:
    with open_file(path, reading.where, DataError) as file:
        archive = _call(zipfile.ZipFile, reading.where, file)
        members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
        if len(members) > _MOST_ARRAYS:
            raise DataError(f"{reading.where}: {len(members)} arrays; a cloud has a few.")
        if not members:
            raise DataError(f"{reading.where}: an archive without numpy arrays; save the arrays with numpy.savez.")
        arrays: dict[str, NamedArray] = {}
        for member in members:
            array = _describe(archive, member, reading.where)
            if array is not None:
                arrays[member.filename.removesuffix(".npy")] = array
        if not arrays:
            raise DataError(f"{reading.where}: only pickled objects, which are never loaded; save arrays of numbers.")
        return build_cloud(arrays, reading)


FORMAT = CloudFormat(
    "NumPy archive", (".npz",), _read, "arrays by their names: points (or xyz, pos, coords), colors, normals"
)


def _describe(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> NamedArray | None:
    """Header of an array; None for objects."""
    shape, _, dtype, _ = _call(_read_header, where, archive, member)
    if dtype.hasobject:
        return None
    return NamedArray(shape, dtype, partial(_load, archive, member, where))


def _load(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> np.ndarray:
    shape, fortran, dtype, offset = _call(_read_header, where, archive, member)
    size = math.prod(shape) * dtype.itemsize
    available = member.file_size - offset
    if available < size:
        text = f"{member.filename} is truncated: {available} of {size} bytes"
        raise DataError(f"{where}: {text}; save it again.")
    if size > _MOST_BYTES:
        raise DataError(f"{where}: {member.filename} has {size:,} bytes; possible: at most {_MOST_BYTES:,}.")
    raw = _call(_read_body, where, archive, member, offset, size)
    if len(raw) < size:
        raise DataError(f"{where}: {member.filename} is truncated: {len(raw)} of {size} bytes; save it again.")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")


def _read_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, order, type, and the position of the first value."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            header = np.lib.format.read_array_header_1_0(stream)
        else:
            header = np.lib.format.read_array_header_2_0(stream)
        return *header, stream.tell()


def _read_body(archive: zipfile.ZipFile, member: zipfile.ZipInfo, offset: int, size: int) -> bytes:
    with archive.open(member) as stream:
        stream.seek(offset)
        return stream.read(size)


def _call(function: Callable[..., Any], where: str, *arguments: Any) -> Any:
    """Call a function of zipfile or numpy; raises `DataError` where the archive is broken."""
    try:
        return function(*arguments)
    except _FAULTS as error:
        raise DataError(
            f"{where}: the archive is damaged, or no archive of arrays; save it again ({error})."
        ) from error
