"""Arrays of a large cloud, filled block by block so that no point is held twice."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from spa3d.data.formats.contract import MOST_POINTS, Cloud
from spa3d.errors import DataError

BLOCK = 1 << 18
"""Points that readers read at a time."""


def refuse_many(count: int, where: str) -> None:
    """Raise `DataError` if a file holds, or says that it holds, more points than can be read."""
    if count > MOST_POINTS:
        raise DataError(f"{where}: {count:,} points; thin them out to at most {MOST_POINTS:,}.")


class CloudBuffer:
    """Points with colors and normals that arrive in blocks.

    Args:
        capacity: largest number of points; memory is used only for those that arrive.
        colors: whether there are colors.
        normals: whether there are normals.

    """

    def __init__(self, capacity: int, *, colors: bool, normals: bool = False) -> None:
        self.used = 0
        self._points = np.empty((capacity, 3))
        self._colors = np.empty((capacity, 3), np.float32) if colors else None
        self._normals = np.empty((capacity, 3), np.float32) if normals else None

    def add(
        self,
        points: Float[np.ndarray, "N 3"],
        colors: Float[np.ndarray, "N 3"] | None = None,
        normals: Float[np.ndarray, "N 3"] | None = None,
    ) -> None:
        """Append a block of points."""
        rows = slice(self.used, self.used + len(points))
        self._points[rows] = points
        if self._colors is not None:
            self._colors[rows] = colors
        if self._normals is not None:
            self._normals[rows] = normals
        self.used = rows.stop

    def build(self) -> Cloud:
        """The cloud of the points that have arrived."""
        rows = slice(0, self.used)
        colors, normals = (None if each is None else each[rows] for each in (self._colors, self._normals))
        return Cloud(self._points[rows], colors, normals)
