"""One object: what it is (a spec), and a noisy colored sample of its surface.

All random numbers of a cloud are drawn before the spec is looked at. So two specs that differ in one fact give,
from the same stream, clouds that differ in that part alone: a twin has its original's pose, size and noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Float32, Int

from spa3d_plugins.datasets.shapes_world import textures
from spa3d_plugins.datasets.shapes_world.categories import BY_NAME, COLORS, TEXTURES
from spa3d_plugins.datasets.shapes_world.category import WOBBLES, Category, Counts
from spa3d_plugins.datasets.shapes_world.meshes import Mesh, join, sample

Value = TypeVar("Value")
Vector = Float[np.ndarray, " 3"]


@dataclass(frozen=True)
class Spec:
    """All that is true about one object; colors and counts in the order of the category's parts."""

    category: str
    colors: tuple[str, ...]
    counts: Counts
    texture: str


@dataclass(frozen=True)
class Priors:
    """Probabilities of a category's usual color, texture and count; else they are uniform."""

    color: float
    texture: float
    count: float


@dataclass(frozen=True)
class Noise:
    """Standard deviations of the noise on points (in radii of the object) and on colors."""

    position: float
    color: float


@dataclass(frozen=True)
class SampledCloud:
    """A cloud ``(N, 6)`` with the index of the part each point lies on, ``(N,)``."""

    cloud: Float32[np.ndarray, "N 6"]
    labels: Int[np.ndarray, " N"]


def draw_spec(category: Category, stream: np.random.Generator, priors: Priors) -> Spec:
    """An object of `category`, its facts drawn from `stream`."""
    names = tuple(COLORS)

    def pick(usual: Value, values: tuple[Value, ...], prior: float) -> Value:
        chance, index = stream.random(2)
        return usual if chance < prior else values[int(index * len(values))]

    return Spec(
        category=category.name,
        colors=tuple(pick(part.color, names, priors.color) for part in category.parts),
        counts=tuple(pick(part.usual, part.counts or (0,), priors.count) for part in category.parts),
        texture=pick(category.texture, TEXTURES, priors.texture),
    )


def change_spec(spec: Spec, stream: np.random.Generator) -> tuple[Spec, str, str]:
    """Change one fact of `spec`; also return its kind (color, count, texture) and part.

    The kinds are equally likely, then the parts, then the other values.
    """
    parts = BY_NAME[spec.category].parts

    def choose_other(value: Value, values: Iterable[Value]) -> Value:
        rest = [candidate for candidate in values if candidate != value]
        return rest[stream.integers(len(rest))]

    counted = [i for i, part in enumerate(parts) if part.counts]
    kind = ("color", "texture", "count")[stream.integers(3 if counted else 2)]
    if kind == "texture":
        return replace(spec, texture=choose_other(spec.texture, TEXTURES)), kind, ""
    if kind == "color":
        i = int(stream.integers(len(parts)))
        return (
            replace(spec, colors=_replace_at(spec.colors, i, choose_other(spec.colors[i], COLORS))),
            kind,
            parts[i].name,
        )
    i = counted[stream.integers(len(counted))]
    return (
        replace(spec, counts=_replace_at(spec.counts, i, choose_other(spec.counts[i], parts[i].counts))),
        kind,
        parts[i].name,
    )


def sample_object(spec: Spec, stream: np.random.Generator, points: int, noise: Noise) -> SampledCloud:
    """Sample a cloud of `spec`: random size and turn about y, roughly in the unit sphere."""
    category, luck = BY_NAME[spec.category], _draw_luck(stream, points)
    sizes = _sizes(category, points)
    pieces = []
    start = 0
    for i, (mesh, size) in enumerate(zip(category.build(luck.wobble, spec.counts), sizes, strict=True)):
        pieces.append(_piece(spec, i, mesh, luck, slice(start, start + size)))
        start += size
    xyz, rgb = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    cloud = np.empty((points, 6), np.float32)
    cloud[:, :3] = _rotate(xyz * luck.stretch, luck.turn) + noise.position * luck.shifts
    cloud[:, 3:] = np.clip(rgb + noise.color * luck.tints, 0, 1)
    return SampledCloud(cloud[luck.order], np.repeat(np.arange(len(sizes)), sizes)[luck.order])


@dataclass(frozen=True)
class _CloudDraws:
    """All random numbers of one cloud."""

    wobble: tuple[float, ...]
    stretch: Vector
    turn: float
    phase: float
    spots: Float[np.ndarray, " s"]
    order: Int[np.ndarray, " N"]
    places: Float[np.ndarray, "N 3"]
    depth: Float[np.ndarray, " N"]
    shifts: Float[np.ndarray, "N 3"]
    tints: Float[np.ndarray, "N 3"]


def _draw_luck(stream: np.random.Generator, points: int) -> _CloudDraws:
    return _CloudDraws(
        wobble=tuple(stream.uniform(-1, 1, WOBBLES).tolist()),
        stretch=stream.uniform(0.85, 1.12, 3),
        turn=stream.uniform(0, 2 * math.pi),
        phase=stream.uniform(0, 2),
        spots=stream.random(textures.SPOTS),
        order=stream.permutation(points),
        places=stream.random((points, 3)),
        depth=stream.standard_normal(points),
        shifts=stream.standard_normal((points, 3)),
        tints=stream.standard_normal((points, 3)),
    )


def _piece(
    spec: Spec, number: int, mesh: Mesh, luck: _CloudDraws, block: slice
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Positions and colors of one part's points, before size, turn and noise.

    Only the main part has a texture.
    """
    frame = _frame(BY_NAME[spec.category])
    surface = (mesh - frame.center) / frame.radius
    xyz, chosen = sample(surface, luck.places[block])
    color = spec.colors[number]
    rgb = np.tile(COLORS[color], (len(xyz), 1))
    texture = spec.texture if number == 0 else "smooth"
    if texture == "rough":
        depth = luck.depth[block]
        return xyz + textures.bumps(surface, chosen, depth), rgb * textures.pits(depth)[:, None]
    if texture == "striped":
        rgb[textures.stripes(xyz, axis=frame.axis, phase=luck.phase)] = textures.lighten(color)
    elif texture == "spotted":
        rgb[textures.spots(xyz, places=luck.spots)] = textures.lighten(color)
    return xyz, rgb


def _replace_at(values: tuple[Value, ...], index: int, value: Value) -> tuple[Value, ...]:
    return (*values[:index], value, *values[index + 1 :])


@dataclass(frozen=True)
class _Frame:
    """Center and radius of a category's usual object, and longest axis of its main part."""

    center: Vector
    radius: float
    axis: int


@cache
def _frame(category: Category) -> _Frame:
    # Of the usual object and not of this one: a twin with another count must not shift or grow.
    meshes = category.build((0.0,) * WOBBLES, tuple(part.usual for part in category.parts))
    corners = join(*meshes).reshape(-1, 3)
    center = (corners.min(0) + corners.max(0)) / 2
    radius = float(np.linalg.norm(corners - center, axis=1).max())
    return _Frame(center, radius, int(np.argmax(np.ptp(meshes[0].reshape(-1, 3), axis=0))))


@cache
def _sizes(category: Category, points: int) -> tuple[int, ...]:
    """Points per part; what rounding leaves goes to the main part."""
    rest = [round(part.share * points) for part in category.parts[1:]]
    return (points - sum(rest), *rest)


def _rotate(xyz: Float[np.ndarray, "N 3"], turn: float) -> Float[np.ndarray, "N 3"]:
    cos, sin = math.cos(turn), math.sin(turn)
    return xyz @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
