"""Shape and density of a cloud, estimated from some of its points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

NEIGHBORS = 8
"""The local spacing is the distance to the neighbor of this number."""
PROBES = 1024
VIEWS = 64
"""Directions in which a scan from one view is looked for."""
SURFACE_POINTS = 4096
"""Fewest points of a cloud whose surfaces are told apart; the most that are used is twice as large."""
PER_CELL = 12
"""Mean number of points in a filled cell of the picture of a view."""
GAP, RELIEF, WITHIN = 2.0, 1.5, 0.2
"""A second surface is `GAP` cells behind the first. A view counts if its depths spread over `RELIEF` cells beside a
plane, and not more than `WITHIN` of their variance is inside of cells."""


@dataclass(frozen=True)
class ShapeFacts:
    """Shape and density.

    Attributes:
        thickness: standard deviations along the principal axes over the largest one: ``(1, middle, smallest)``.
        spacing: median distance to the nearest other point, in units of the cloud, for all its points.
        unevenness: 95th over 5th percentile of the distance to the 8th neighbor.
        one_sided: largest share of a view's points in front of which and behind which there is no other surface; 0 if
            it was not measured.

    """

    thickness: tuple[float, float, float]
    spacing: float
    unevenness: float
    one_sided: float = 0.0


def measure_shape(sample: Float[np.ndarray, "M 3"], count: int, *, views: int = VIEWS) -> ShapeFacts:
    """Measure the shape of a cloud of `count` points.

    Args:
        sample: finite points at different places, in random order, at least 3.
        count: number of such points of the whole cloud.
        views: number of views for `ShapeFacts.one_sided`.

    """
    centered = sample - sample.mean(axis=0)
    scale = float(np.abs(centered).max()) or 1.0
    unit = centered / scale
    spreads = np.sqrt(np.maximum(np.linalg.eigvalsh(unit.T @ unit / len(unit))[::-1], 0))
    thickness = spreads / (spreads[0] or 1.0)
    nearest, local = _measure_spacing(unit)
    low, high = np.percentile(local, (5, 95))
    one_sided = 0.0
    if views and len(unit) >= SURFACE_POINTS:
        one_sided = max(_measure_view(unit[: 2 * SURFACE_POINTS], view) for view in _spread_views(views))
    return ShapeFacts(
        (1.0, float(thickness[1]), float(thickness[2])),
        # On a surface the spacing falls with the square root of the number of points.
        float(np.median(nearest)) * scale * (len(sample) / count) ** 0.5,
        float(high / low) if low > 0 else float("inf"),
        one_sided,
    )


def _measure_spacing(unit: Float[np.ndarray, "M 3"]) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """Distances of some points to the nearest other one, and to that of number `NEIGHBORS`."""
    points = torch.from_numpy(unit.astype(np.float32))
    last = min(NEIGHBORS, len(unit) - 1)
    rows = []
    for probes in points[:PROBES].split(128):
        apart = torch.cdist(probes, points, compute_mode="donot_use_mm_for_euclid_dist")
        rows.append(apart.topk(last + 1, dim=1, largest=False).values)
    ordered = torch.cat(rows).double().numpy()
    return ordered[:, 1], ordered[:, last]


def _spread_views(count: int) -> list[Float[np.ndarray, " 3"]]:
    """Spread directions evenly over half a sphere (Fibonacci)."""
    steps = np.arange(count) + 0.5
    rise, turn = 1 - steps / count, np.pi * (1 + 5**0.5) * steps
    flat = np.sqrt(1 - rise**2)
    return [*np.stack([flat * np.cos(turn), flat * np.sin(turn), rise], axis=1)]


def _measure_view(unit: Float[np.ndarray, "M 3"], view: Float[np.ndarray, " 3"]) -> float:
    """Share of the points in cells with one surface, seen along `view`; 0 without relief."""
    first = np.cross(view, (1.0, 0.0, 0.0) if abs(view[0]) < 0.9 else (0.0, 1.0, 0.0))
    first /= np.linalg.norm(first)
    flat = unit @ np.stack([first, np.cross(view, first)], axis=1)
    depth = unit @ view
    flat = flat - flat.min(axis=0)
    side = float(np.sqrt(np.prod(flat.max(axis=0)) * PER_CELL / len(unit)))
    if not side > 0:
        return 0.0
    cells = _name_cells(flat, side)
    side *= float(np.sqrt(len(np.unique(cells)) / np.prod(np.floor(flat.max(axis=0) / side) + 1)))
    cells = _name_cells(flat, side)
    # In the order of cells, and of depths within a cell: one sort, because depths differ by less than 1 after scaling.
    order = np.argsort(cells + 0.5 * (depth - depth.min()) / (np.ptp(depth) or 1.0))
    cells, depth, flat = cells[order], depth[order], flat[order]
    same = cells[1:] == cells[:-1]
    names = np.concatenate([[0], np.cumsum(~same)])
    counts = np.bincount(names)
    gap = same & (depth[1:] - depth[:-1] > GAP * side)
    double = np.bincount(names[1:], weights=gap, minlength=len(counts)) > 0
    plane = np.column_stack([flat, np.ones(len(flat))])
    relief = depth - plane @ np.linalg.lstsq(plane, depth, rcond=None)[0]
    means = np.bincount(names, depth) / counts
    within = float(((depth - means[names]) ** 2).mean())
    if relief.std() < RELIEF * side or within > WITHIN * relief.var():
        return 0.0
    enough = counts >= PER_CELL // 3
    return float(counts[enough & ~double].sum() / max(1, counts[enough].sum()))


def _name_cells(flat: Float[np.ndarray, "M 2"], side: float) -> Int[np.ndarray, " M"]:
    """Number of the cell of each point, in a picture of square cells."""
    rows = np.floor(flat / side).astype(np.int64)
    return np.asarray(rows[:, 0] * (int(rows[:, 1].max()) + 1) + rows[:, 1])
