"""Arrays whose numbers are in a file, at a known location."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from spa3d.errors import DataError
from spa3d.runtime.paths import open_file


@dataclass(frozen=True)
class Payload:
    """Bytes of the file, not read yet; or, where `content` is not None, bytes made from a short text."""

    start: int
    size: int
    as_text: bool = False
    """The file has them as UTF-8 of a text with one character per byte, as Python 3 writes protocol 2."""
    content: bytes | None = None


@dataclass(frozen=True)
class StoredArray:
    """An array whose numbers are in the file.

    Attributes:
        dtype: type of the numbers.
        shape: shape of the array.
        fortran: whether the first index changes fastest.
        payload: location of the numbers.

    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    payload: Payload

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return prod(self.shape) * self.dtype.itemsize


def read_array(path: Path, array: StoredArray, where: str) -> np.ndarray:
    """Read the numbers of an array; raises `DataError` about `where` if the file does not have them any more."""
    payload, raw = array.payload, array.payload.content
    if raw is None:
        with open_file(path, where, DataError) as file:
            file.seek(payload.start)
            raw = file.read(payload.size)
    if payload.as_text:
        try:
            raw = raw.decode("utf-8").encode("latin-1")
        except UnicodeError as error:
            raise DataError(f"{where}: the numbers are no bytes in protocol 2; save the file again.") from error
    if len(raw) != array.size:
        raise DataError(f"{where}: {len(raw)} of {array.size} bytes; copy the file again.")
    return np.frombuffer(raw, array.dtype).reshape(array.shape, order="F" if array.fortran else "C")
