"""Guess of the direction that points up in a cloud.

Seven figures are computed for each of the six directions along an axis: how large and how dense the base is, whether it
supports the middle, where the mass is, and whether the cloud looks the same upside down or turned. A softmax over
their weighted sums gives a probability for each direction. The weights were fitted to 939 game objects, 300 procedural
objects and 76 scans of tables.

On 239 other game objects the axis was right for 36 %, wrong for 3 % and unknown for 62 %; on the 939 it was wrong for
5 %. On 200 procedural objects it was right for 45 % and wrong for 1 %, on 18 scans of tables always right, and on 11
scanned things right for 3 and unknown for 8. Many objects have no up, such as an apple or a sword. The mean over a data
set is far more reliable than the guess for one cloud.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

DIRECTIONS = ("x", "-x", "y", "-y", "z", "-z")
CONFIDENT = 0.8
"""Least probability of an axis that is named."""
POINTS = 4096
"""Points that are used."""
_FEW, _REFERENCE = 400, 1600
_BASE, _SLAB = 0.02, 0.05
"""Shares of the height that count as the base, and as what the cloud stands on."""
_WEIGHTS = np.array([1.60, 1.43, 28.6, -5.2, 2.24, 2.97, -0.41])
"""Weights of the columns of `_describe_direction`."""


@dataclass(frozen=True)
class UpAxis:
    """Guess of what points up.

    Attributes:
        probabilities: of `DIRECTIONS`; all equal if nothing can be said.
        evidence: what speaks for the most probable direction.

    """

    probabilities: tuple[float, ...]
    evidence: str = ""

    @property
    def axis(self) -> str:
        """x, y or z; empty if unknown."""
        sums = {axis: up + down for axis, (up, down) in zip("xyz", self._pairs, strict=True)}
        best = max(sums, key=lambda axis: sums[axis])
        return best if sums[best] >= CONFIDENT else ""

    @property
    def confidence(self) -> float:
        """Probability of the most probable axis."""
        return max(up + down for up, down in self._pairs)

    @property
    def likely_direction(self) -> str:
        """The more probable direction of the axis; empty if the axis is unknown."""
        if not self.axis:
            return ""
        up, down = self._pairs["xyz".index(self.axis)]
        return self.axis if up >= down else f"-{self.axis}"

    @property
    def _pairs(self) -> list[tuple[float, float]]:
        return [*zip(self.probabilities[::2], self.probabilities[1::2], strict=True)]


UNKNOWN = UpAxis((1 / 6,) * 6, "too few points, or no volume")
"""Guess without evidence."""


def guess_up_axis(xyz: Float[np.ndarray, "N 3"]) -> UpAxis:
    """Guess from finite points in random order; the first `POINTS` are used."""
    points = xyz[:POINTS]
    low, high = points.min(axis=0), points.max(axis=0)
    extent = high - low
    if len(points) < 64 or not (extent > 1e-6 * extent.max()).all():
        return UNKNOWN
    unit = (points - (low + high) / 2) / float(np.linalg.norm(extent))
    heights = (points - low) / extent
    changes = _measure_symmetry(unit)
    rows = [_describe_direction(heights, axis, sign, changes[axis]) for axis in range(3) for sign in (1, -1)]
    scores = np.array(rows) @ _WEIGHTS
    weights = np.exp(scores - scores.max())
    best = int(np.argmax(scores))
    values = (weights / weights.sum()).tolist()
    return UpAxis(tuple(values), _describe_evidence(rows[best]))


def _measure_symmetry(unit: Float[np.ndarray, "N 3"]) -> list[tuple[float, float]]:
    """Change of the cloud, by axis, if it is mirrored along it, and if it is turned about it.

    The turn is by 90 degrees. Changes are mean distances to the nearest point, in diagonals of the bounding box, beyond
    those between two samples.
    """
    few, reference = unit[:_FEW], unit[:_REFERENCE]
    base = _mean_distance(few, unit[_REFERENCE : 2 * _REFERENCE] if len(unit) > 2 * _REFERENCE else reference)
    changes = []
    for axis in range(3):
        first, second = (each for each in range(3) if each != axis)
        mirrored, turned = few.copy(), few.copy()
        mirrored[:, axis] *= -1
        turned[:, first], turned[:, second] = few[:, second], -few[:, first]
        changes.append((_mean_distance(mirrored, reference) - base, _mean_distance(turned, reference) - base))
    return changes


def _mean_distance(some: np.ndarray, reference: np.ndarray) -> float:
    apart = torch.cdist(torch.from_numpy(some.astype(np.float32)), torch.from_numpy(reference.astype(np.float32)))
    return float(apart.amin(dim=1).mean())


def _describe_direction(heights: np.ndarray, axis: int, sign: int, changes: tuple[float, float]) -> list[float]:
    """Figures of one direction; `heights` are coordinates in the bounding box, from 0 to 1."""
    height = heights[:, axis] if sign > 0 else 1 - heights[:, axis]
    across = np.delete(heights, axis, axis=1)
    base = across[height < _SLAB]
    low, high, middle = base.min(axis=0), base.max(axis=0), across.mean(axis=0)
    footprint = float(np.prod(high - low)) if len(base) > 2 else 0.0
    margin = float(np.clip(2 * min((middle - low).min(), (high - middle).min()), -1, 1))
    dense, top = float((height < _BASE).mean()), float((height > 1 - _BASE).mean())
    return [footprint, margin, *changes, float(height.mean()), dense**0.5, top**0.5]


def _describe_evidence(row: list[float]) -> str:
    """Sentence parts on the strongest figures of a direction."""
    footprint, margin, mirrored, _, mass, base, top = row
    parts = []
    if base**2 > 0.04:
        parts.append(f"{base**2:.0%} of the points in a flat base (top: {top**2:.0%})")
    if footprint > 0.5:
        parts.append("a base as wide as the cloud")
    elif margin > 0.3:
        parts.append("a base below the middle")
    if mirrored > 0.02:
        parts.append("looks different upside down")
    if abs(mass - 0.5) > 0.08:
        parts.append(f"the mean height is {mass:.0%}")
    return ", ".join(parts)
