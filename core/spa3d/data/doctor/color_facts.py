"""Colors of a cloud: their range, and what they seem to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from spa3d.data.cloud_checks import COLOR_SLACK
from spa3d.data.doctor.rows import pieces

ColorRange = Literal["0-1", "0-255", "0-65535", "-1-1", "normals", "outside", "dark", "black", "flat"]
BYTE, WORD = 255.0, 65535.0
DARK = 1.001 / BYTE
"""Largest color that is taken for one divided by 255 twice."""
FLAT = 0.5 / BYTE
"""Largest difference of colors that are taken for one color."""
DIRECTIONS = 40
"""Fewest different directions of normals; a painted object can have a few colors of length 1."""
UNIT = 0.02
"""Largest deviation of the length of a unit vector."""


@dataclass(frozen=True)
class ColorFacts:
    """Colors as in the file.

    Attributes:
        low, high: their range over all finite points.
        mean: their mean, three numbers.
        whole: share of whole numbers.
        range: what they seem to be: a range, normals, or all black, all of one color, all too dark.

    """

    low: float
    high: float
    mean: tuple[float, float, float]
    whole: float
    range: ColorRange

    @property
    def valid(self) -> bool:
        """Whether they are between 0 and 1."""
        return self.low >= -COLOR_SLACK and self.high <= 1 + COLOR_SLACK


def measure_colors(colors: Float[np.ndarray, "N 3"], sample: Float[np.ndarray, "M 3"]) -> ColorFacts:
    """Measure finite colors.

    Args:
        colors: of all points; their range and mean are exact.
        sample: of some points, for what takes longer.

    """
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    total = np.zeros(3)
    for piece in pieces(len(colors)):
        some = colors[piece]
        low, high = np.minimum(low, some.min(axis=0)), np.maximum(high, some.max(axis=0))
        total += some.sum(axis=0, dtype=np.float64)
    whole = float((sample % 1 == 0).mean())
    mean = total / len(colors)
    flat = bool((high - low <= FLAT * max(1.0, float(high.max()))).all())
    kind = _name_range(float(low.min()), float(high.max()), whole, sample, flat=flat)
    return ColorFacts(
        float(low.min()), float(high.max()), (float(mean[0]), float(mean[1]), float(mean[2])), whole, kind
    )


def _name_range(low: float, high: float, whole: float, sample: np.ndarray, *, flat: bool) -> ColorRange:
    """Name the range of colors between `low` and `high`."""
    inside = low >= -COLOR_SLACK and high <= 1 + COLOR_SLACK
    if low == high == 0:
        return "black"
    if not flat and (_are_unit(sample) or (inside and _are_unit(2 * sample - 1))):
        return "normals"
    if inside:
        return "flat" if flat else "dark" if high <= DARK else "0-1"
    if low < 0:
        return "-1-1" if low >= -1 - COLOR_SLACK and high <= 1 + COLOR_SLACK else "outside"
    if high <= BYTE * (1 + COLOR_SLACK) and (whole > 0.99 or high > 16):
        return "0-255"
    return "0-65535" if BYTE < high <= WORD and whole > 0.99 else "outside"


def _are_unit(vectors: np.ndarray) -> bool:
    """Whether nearly all are of length 1, in many directions."""
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1))
    if float((np.abs(lengths - 1) < UNIT).mean()) <= 0.95:
        return False
    return len(np.unique(np.round(vectors * 16), axis=0)) >= DIRECTIONS
