"""Contract of the readers of cloud files: what a reader is told, and what it returns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from spa3d.contracts.dataset import CloudArray
from spa3d.data.cloud_checks import Colors, finish_columns, refuse_unit_colors
from spa3d.errors import DataError
from spa3d.runtime.rng import Key

MOST_POINTS = 50_000_000
"""Most points of a file; they take 5 GB of memory while they are read."""
MESH_POINTS = 8192
"""Points drawn from a mesh by default, PointLLM's number."""


@dataclass(frozen=True)
class Cloud:
    """Contents of a cloud file.

    A reader returns them unchecked: coordinates may be NaN, and colors whose range the file does not state may lie
    outside [0, 1]. `spa3d.read_cloud` checks them.

    Attributes:
        points: coordinates as in the file, or drawn from its mesh, ``(N, 3)`` float64.
        colors: display (sRGB) colors, ``(N, 3)`` float32 in [0, 1]; None without color.
        normals: normals as in the file, ``(N, 3)`` float32; None without.
        source: name of the file.
        notes: what was guessed, converted or left out, a sentence each.
        precision: type of the coordinates in the file.

    """

    points: Float[np.ndarray, "N 3"]
    colors: Float[np.ndarray, "N 3"] | None = None
    normals: Float[np.ndarray, "N 3"] | None = None
    source: str = ""
    notes: tuple[str, ...] = ()
    precision: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float64))

    def __len__(self) -> int:
        return len(self.points)

    def to_array(self, *, where: str = "") -> CloudArray:
        """Build the checked array for models: xyz and rgb, rgb 0 without color.

        It is float32 if that holds every digit of the file, else float64.

        Raises:
            DataError: no valid cloud (see `spa3d.data.cloud_checks.from_array`); the message begins with `where`, by
                default the source.

        """
        array = np.zeros((len(self), 6), np.float64 if self.precision.itemsize > 4 else np.float32)
        with np.errstate(over="ignore"):  # infinity is refused below
            array[:, :3] = self.points
        if self.colors is not None:
            array[:, 3:] = self.colors
        rgb = None if self.colors is None else array[:, 3:]
        finish_columns(array[:, :3], rgb, precision=self.precision, where=where or self.source)
        return array

    def finish(self) -> Cloud:
        """Check the cloud, as `to_array` does, and clip its colors in place; returns itself."""
        finish_columns(self.points, self.colors, precision=self.precision, where=self.source)
        return self

    def note(self, *notes: str) -> Cloud:
        """Copy with further notes."""
        return replace(self, notes=(*self.notes, *notes))


@dataclass(frozen=True)
class Reading:
    """How a file is to be read.

    Attributes:
        colors: range of colors whose range the file does not state, such as floats; it is never guessed.
        count: number of points drawn from a mesh.
        key: key of the draws from a mesh.
        where: location of the cloud in messages; empty: the path.

    """

    colors: Colors = "0-1"
    count: int = MESH_POINTS
    key: Key = ("mesh", 0)
    where: str = ""


DEFAULT = Reading()
"""How a file is read unless something else is asked for."""


@dataclass(frozen=True)
class CloudFormat:
    """One format of cloud files.

    Attributes:
        name: name in messages and in docs.
        suffixes: endings of its files, in lower case, with the dot.
        read: reads a file; raises `DataError` about ``reading.where``.
        summary: what is read from it, for docs.

    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, Reading], Cloud]
    summary: str


def note_kind(note: str) -> str:
    """Kind of a note: notes of one kind differ only in their numbers."""
    return re.sub(r"\d[\d,.]*", "#", note)


def scale_colors(stored: np.ndarray, reading: Reading) -> Float[np.ndarray, "N 3"]:
    """Scale colors whose range the file does not state to [0, 1], as `reading` says; float32.

    Values outside the range stay outside, for the check. Raises `DataError` where 0-255 cannot be meant.
    """
    if reading.colors == "0-255":
        refuse_unit_colors(stored, reading.where)
        return divide_colors(stored, 255)
    return stored.astype(np.float32)


def divide_colors(stored: np.ndarray, top: int) -> Float[np.ndarray, "N 3"]:
    """Divide colors whose range, 0 to `top`, the file states; float32 in [0, 1]."""
    return np.divide(stored, np.float32(top), dtype=np.float32)


def require_utf8_name(path: Path, where: str) -> None:
    """Raise `DataError` if a library that opens paths by itself cannot open this one."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{where}: its path is no UTF-8, which the reader of this format needs; rename it.") from error


def import_reader(module: str, where: str) -> Any:
    """Import a library of the extra ``formats``.

    Raises `DataError` about `where`, with the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DataError(
            f"{where}: reading it needs {module} ({error}); install it with: pip install 'spa3d[formats]'"
        ) from error
