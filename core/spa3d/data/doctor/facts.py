"""Facts of one cloud: what `spa3d doctor` measures, without judging it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from spa3d.data.doctor.color_facts import ColorFacts, measure_colors
from spa3d.data.doctor.outliers import find_outliers
from spa3d.data.doctor.repairs import select
from spa3d.data.doctor.rows import count_repeats, finite_rows, hash_rows, pieces
from spa3d.data.doctor.shape_facts import VIEWS, ShapeFacts, measure_shape
from spa3d.data.doctor.up_axis import UNKNOWN, UpAxis, guess_up_axis
from spa3d.data.formats.contract import Cloud
from spa3d.runtime.rng import keyed_generator

SAMPLE = 20_000
"""Points that estimates use; counts, extents, ranges and means are exact."""
LEVELS = 64
"""Coordinates of a cloud with fewer steps than this along its longest axis are coarse."""
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class NormalFacts:
    """Normals: the shares of those of length 1 and of length 0."""

    unit: float
    zero: float


@dataclass(frozen=True)
class CloudFacts:
    """Facts of one cloud; lengths are in units of the file.

    Attributes:
        source: name of the file or record.
        points: number of points.
        invalid: points with NaN or infinity; everything below is about the others.
        first_invalid: index of the first of them; -1 without.
        precision: type of the coordinates in the file.
        notes: of the reader.
        low, high: corners of the bounding box.
        center: the centroid.
        radius: largest distance to the centroid.
        rounding: largest rounding error of that type for these coordinates, as a share of the radius.
        levels: number of steps of a regular grid along the longest axis that all coordinates lie on; 0 without a grid.
        repeats: points at the place of an earlier point.
        outliers: points that are far from the rest, and how much they shrink it in a normalized cloud.
        colors, normals, shape, up_axis: see there; None if there are none, or too few points.
        sampled: number of points that estimates were made from.
        digest: hash of the points in any order; clouds with equal points have equal ones.

    """

    source: str
    points: int
    invalid: int
    first_invalid: int
    precision: str
    notes: tuple[str, ...] = ()
    low: Triple = (0.0, 0.0, 0.0)
    high: Triple = (0.0, 0.0, 0.0)
    center: Triple = (0.0, 0.0, 0.0)
    radius: float = 0.0
    rounding: float = 0.0
    levels: int = 0
    repeats: int = 0
    outliers: tuple[int, float] = (0, 1.0)
    colors: ColorFacts | None = None
    normals: NormalFacts | None = None
    shape: ShapeFacts | None = None
    up_axis: UpAxis = UNKNOWN
    sampled: int = 0
    digest: str = ""

    @property
    def valid(self) -> int:
        """Number of points that are not invalid."""
        return self.points - self.invalid

    @property
    def distinct(self) -> int:
        """Number of different places."""
        return self.valid - self.repeats

    @property
    def extent(self) -> Triple:
        """Edges of the bounding box."""
        x, y, z = (high - low for low, high in zip(self.low, self.high, strict=True))
        return x, y, z

    def to_json(self) -> dict[str, Any]:
        """Values for a JSON report."""
        values = asdict(self)
        values["extent"] = self.extent
        values["up_axis"] = {
            "axis": self.up_axis.axis or "unknown",
            "direction": self.up_axis.likely_direction or "unknown",
            "confidence": round(self.up_axis.confidence, 3),
            "evidence": self.up_axis.evidence,
        }
        return values


def measure(cloud: Cloud, *, seed: int = 0, sample: int = SAMPLE, views: int = VIEWS) -> CloudFacts:
    """Measure a cloud as it was read, valid or not.

    Args:
        cloud: from `spa3d.data.formats.read.parse_cloud`.
        seed: of the choice of points for estimates, which also depends on the number of points.
        sample: number of these points.
        views: views that a scan from one side is looked for in; 0 leaves that out.

    """
    mask = finite_rows(cloud)
    valid = cloud if mask.all() else select(cloud, mask)
    nothing = CloudFacts(
        source=cloud.source,
        points=len(cloud),
        invalid=len(cloud) - len(valid),
        first_invalid=-1 if mask.all() else int(np.argmin(mask)),
        precision=cloud.precision.name,
        notes=cloud.notes,
    )
    return _measure_valid(nothing, valid, seed, sample, views) if len(valid) else nothing


def _measure_valid(facts: CloudFacts, cloud: Cloud, seed: int, sample: int, views: int) -> CloudFacts:
    """Add the figures of the valid points."""
    points = np.ascontiguousarray(cloud.points)
    low, high, center, radius = _measure_extent(points)
    hashes = hash_rows(points)
    repeats, outliers = count_repeats(hashes), find_outliers(points)
    draws = keyed_generator("doctor", seed, len(points))
    rows = draws.choice(len(points), min(sample, len(points)), replace=False)
    few = points[rows]
    apart = few[np.sort(np.unique(hashes[rows], return_index=True)[1])]
    has_shape = len(apart) >= 3
    return replace(
        facts,
        low=_triple(low),
        high=_triple(high),
        center=_triple(center),
        radius=radius,
        rounding=_measure_rounding(low, high, radius, cloud.precision),
        levels=_count_levels(apart),
        repeats=repeats,
        outliers=(outliers.count, outliers.shrinkage),
        colors=None if cloud.colors is None else measure_colors(cloud.colors, cloud.colors[rows]),
        normals=None if cloud.normals is None else _measure_normals(cloud.normals[rows]),
        shape=measure_shape(apart, len(points) - repeats, views=views) if has_shape else None,
        up_axis=guess_up_axis(few[~outliers.mask[rows]]) if has_shape else UNKNOWN,
        sampled=len(rows),
        digest=f"{len(points)}-{int(hash_rows(_as_float32(points)).sum(dtype=np.uint64)):016x}",
    )


def _triple(values: np.ndarray) -> Triple:
    x, y, z = values.tolist()
    return x, y, z


def _as_float32(points: np.ndarray) -> np.ndarray:
    """Round to float32, in which a data set may have stored the same cloud."""
    with np.errstate(over="ignore"):
        return points.astype(np.float32).astype(np.float64)


def _measure_extent(points: Float[np.ndarray, "N 3"]) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Bounding box, centroid, and largest distance to it."""
    low, high, center = points.min(axis=0), points.max(axis=0), points.mean(axis=0)
    squares = [((points[piece] - center) ** 2).sum(axis=1).max() for piece in pieces(len(points))]
    return low, high, center, float(np.sqrt(max(squares)))


def _measure_rounding(low: np.ndarray, high: np.ndarray, radius: float, precision: np.dtype[Any]) -> float:
    """Largest rounding error of coordinates of a type, as a share of the radius."""
    if not np.issubdtype(precision, np.floating) or not radius > 0:
        return 0.0
    largest = np.maximum(np.abs(low), np.abs(high)).max()
    return float(np.spacing(largest.astype(precision))) / 2 / radius


def _count_levels(sample: Float[np.ndarray, "M 3"]) -> int:
    """Number of steps of the grid along the longest axis; 0 without a grid."""
    axis = int(np.argmax(np.ptp(sample, axis=0)))
    values = np.unique(sample[:, axis])
    if len(values) < 2 or len(sample) < 256:
        return 0
    steps = np.diff(values)
    steps = steps[steps > 1e-6 * np.ptp(values)]
    if not len(steps):
        return 0
    step = float(steps.min())
    places = (values - values[0]) / step
    return round(float(places[-1])) if np.abs(places - np.round(places)).max() < 0.01 else 0


def _measure_normals(normals: Float[np.ndarray, "M 3"]) -> NormalFacts:
    lengths = np.sqrt((normals.astype(np.float64) ** 2).sum(axis=1))
    return NormalFacts(float((np.abs(lengths - 1) < 0.01).mean()), float((lengths < 1e-6).mean()))
