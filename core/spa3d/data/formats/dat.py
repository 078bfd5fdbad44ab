"""Reader of ``.dat`` files: a pickle of two lists, clouds with normals and their labels.

PointLLM and Point-BERT publish ModelNet40 in this form, as ``modelnet40_test_8192pts_fps.dat``. Nothing is unpickled
(see `spa3d.data.formats.array_pickle`), and each cloud stays in the file until it is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spa3d.contracts.dataset import CloudArray
from spa3d.data.cloud_checks import from_array
from spa3d.data.formats.array_pickle import read_pickle
from spa3d.data.formats.contract import MOST_POINTS
from spa3d.data.formats.stored_arrays import StoredArray, read_array
from spa3d.errors import DataError

_MOST_NAMED = 6


class LabeledClouds:
    """Clouds and labels of a ``.dat`` file.

    Args:
        path: a pickle of (list of arrays (N, 6) or (N, 3), list of labels).

    Attributes:
        labels: the label of each cloud.

    Raises:
        DataError: the file cannot be read, would run code, or has another layout; the message says which.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        match read_pickle(path):
            case ((list() | tuple()) as clouds, (list() | tuple()) as labels) if clouds:
                pass
            case value:
                raise DataError(
                    f"{path}: a list of clouds (N, 6) and a list of labels are expected; this file has "
                    f"{_describe(value)}."
                )
        if len(clouds) != len(labels):
            raise DataError(f"{path}: {len(clouds)} clouds and {len(labels)} labels; each cloud has one label.")
        self._clouds = tuple(_check_cloud(value, f"{path}, cloud {i}") for i, value in enumerate(clouds))
        self.labels = tuple(self._label(value, f"{path}, label {i}") for i, value in enumerate(labels))

    def __len__(self) -> int:
        return len(self._clouds)

    def read(self, number: int, *, where: str) -> CloudArray:
        """Read one cloud, without its normals: xyz as in the file, and rgb 0.

        Args:
            number: position in the file.
            where: name of the cloud in messages.

        Raises:
            DataError: the file has changed, or this is no valid cloud.

        """
        stored = read_array(self.path, self._clouds[number], where)
        return from_array(stored[:, :3].astype(stored.dtype.newbyteorder("=")), where=where)

    def _label(self, value: Any, where: str) -> int:
        if isinstance(value, StoredArray) and value.dtype.kind in "iu" and value.shape in ((), (1,)):
            value = read_array(self.path, value, where).item()
        if type(value) is not int or value < 0:
            raise DataError(f"{where}: {_describe(value)}; a label is a number of a class, from 0.")
        return value


def _check_cloud(value: Any, where: str) -> StoredArray:
    match value:
        case StoredArray(shape=(int(points), 3 | 6)) if value.dtype.kind == "f" and points <= MOST_POINTS:
            return value
    raise DataError(f"{where}: {_describe(value)}; a cloud is floats (N, 6), xyz and normals, or (N, 3).")


def _describe(value: Any, depth: int = 2) -> str:
    """Describe what is in a pickle, two levels deep."""
    if isinstance(value, StoredArray):
        return f"an array {value.shape} of {np.dtype(value.dtype).name}"
    if isinstance(value, dict):
        named = ", ".join(repr(key) for key in list(value)[:_MOST_NAMED])
        return f"a dict with the keys {named}" if value else "an empty dict"
    if isinstance(value, list | tuple):
        kind = type(value).__name__
        inner = ", ".join(_describe(each, depth - 1) for each in value[:_MOST_NAMED]) if depth and value else ""
        more = ", …" if inner and len(value) > _MOST_NAMED else ""
        return f"a {kind} of {len(value)}" + (f" ({inner}{more})" if inner else "")
    return f"the {type(value).__name__} {value!r:.40}" if isinstance(value, int | float | str) else "nothing"
