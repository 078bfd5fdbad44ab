"""Triangles of polygons."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def cut_polygons(corners: Int[np.ndarray, " P"]) -> tuple[Int[np.ndarray, "T 3"], Int[np.ndarray, " T"]]:
    """Cut polygons into fans from their first corner; a concave one may be covered wrongly.

    Args:
        corners: number of corners of each polygon; one with fewer than 3 has no triangles.

    Returns:
        corners of the triangles, counted over all polygons one after another, and the polygon of each triangle.

    """
    triangles = np.maximum(corners - 2, 0)
    polygon = np.repeat(np.arange(len(corners)), triangles)
    first = (np.cumsum(corners) - corners)[polygon]
    step = np.arange(len(polygon)) - (np.cumsum(triangles) - triangles)[polygon]
    return np.stack([first, first + step + 1, first + step + 2], axis=1), polygon
