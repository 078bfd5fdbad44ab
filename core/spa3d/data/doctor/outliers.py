"""Outliers of a cloud: a few points beyond a gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from spa3d.data.doctor.rows import pieces

LARGEST_SHARE = 0.02
"""Largest share of the points that can be outliers."""
GAP = 1.25
"""The nearest outlier is at least this many times as far from the middle as the rest."""
SHRINKAGE = 1.5
"""The farthest outlier is at least this many times as far from the middle as the rest."""


@dataclass(frozen=True)
class Outliers:
    """The outliers of a cloud.

    Attributes:
        mask: true for an outlier, ``(N,)``.
        shrinkage: radius with the outliers over the radius without, from the middle; 1 without outliers.

    """

    mask: Bool[np.ndarray, " N"]
    shrinkage: float

    @property
    def count(self) -> int:
        """Number of outliers."""
        return int(self.mask.sum())


def find_outliers(xyz: Float[np.ndarray, "N 3"]) -> Outliers:
    """Find the points beyond a gap, at most 2 %; they shrink the rest in a normalized cloud.

    The middle is the median of each coordinate. Distances to it, in order, jump by the factor `GAP` at the gap, and
    reach `SHRINKAGE` times the radius of the rest. The thin end of an object has no gap.

    Args:
        xyz: finite coordinates.

    """
    count = len(xyz)
    nothing = Outliers(np.zeros(count, bool), 1.0)
    most = int(count * LARGEST_SHARE)
    if not most:
        return nothing
    middle = np.median(xyz[:: max(1, count // 100_000)], axis=0)
    distance = np.empty(count)
    for piece in pieces(count):
        distance[piece] = np.sqrt(((xyz[piece] - middle) ** 2).sum(axis=1))
    far = np.sort(np.partition(distance, count - most - 1)[count - most - 1 :])
    jumps = np.flatnonzero(far[1:] > GAP * far[:-1])
    if not len(jumps) or not far[-1] >= SHRINKAGE * far[jumps[0]]:
        return nothing
    rest = far[jumps[0]]
    return Outliers(distance > rest, float(far[-1] / rest) if rest > 0 else float("inf"))
