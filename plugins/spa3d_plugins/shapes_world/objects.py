"""One object: what it is (a spec), and a noisy coloured sample of its surface.

All random numbers of a cloud are drawn before the spec is looked at. So two specs that differ in one fact give,
from the same stream, clouds that differ in that part alone: a twin has its original's pose, size and noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from spa3d_plugins.shapes_world.categories import BY_NAME, COLOURS, TEXTURES
from spa3d_plugins.shapes_world.category import WOBBLES, Category, Counts
from spa3d_plugins.shapes_world.meshes import Mesh, join, normals, sample

Value = TypeVar("Value")
Vector = Float[np.ndarray, " 3"]

STRIPE = 0.15
SPOT = 0.17
SPOTS = 9
BUMP = 0.05
PIT = 0.35
LIGHTER = 0.6
"""Textures, in units of the cloud's radius: width of a stripe, radius and number of spots, depth of roughness,
how much darker its pits are;
and how far towards white (a white part: towards black) stripes and spots are mixed."""


@dataclass(frozen=True)
class Spec:
    """All that is true about one object; colours and counts in the order of the category's parts."""

    category: str
    colours: tuple[str, ...]
    counts: Counts
    texture: str


@dataclass(frozen=True)
class Priors:
    """How often a part, the texture, a count is the category's usual one; otherwise it is drawn uniformly."""

    colour: float
    texture: float
    count: float


@dataclass(frozen=True)
class Noise:
    """Standard deviations of the point noise (in units of the object's radius) and of the colour noise."""

    position: float
    colour: float


@dataclass(frozen=True)
class Sampled:
    """A cloud ``(N, 6)`` with the index of the part each point lies on, ``(N,)``."""

    cloud: Float32[np.ndarray, "N 6"]
    labels: Int[np.ndarray, " N"]


def draw_spec(category: Category, stream: np.random.Generator, priors: Priors) -> Spec:
    """An object of `category`, its facts drawn from `stream`."""
    names = tuple(COLOURS)

    def pick(usual: Value, values: tuple[Value, ...], prior: float) -> Value:
        chance, place = stream.random(2)
        return usual if chance < prior else values[int(place * len(values))]

    return Spec(
        category=category.name,
        colours=tuple(pick(part.colour, names, priors.colour) for part in category.parts),
        counts=tuple(pick(part.usual, part.counts or (0,), priors.count) for part in category.parts),
        texture=pick(category.texture, TEXTURES, priors.texture),
    )


def change_spec(spec: Spec, stream: np.random.Generator) -> tuple[Spec, str, str]:
    """`spec` with exactly one fact changed, and which: its kind (colour, count, texture) and its part.

    The kinds are equally likely, then the parts, then the other values.
    """
    category = BY_NAME[spec.category]
    counted = [i for i, part in enumerate(category.parts) if part.counts]
    kind = ("colour", "texture", "count")[stream.integers(3 if counted else 2)]
    if kind == "texture":
        others = [texture for texture in TEXTURES if texture != spec.texture]
        return replace(spec, texture=others[stream.integers(len(others))]), kind, ""
    if kind == "colour":
        i = int(stream.integers(len(category.parts)))
        colours = [colour for colour in COLOURS if colour != spec.colours[i]]
        chosen = _with(spec.colours, i, colours[stream.integers(len(colours))])
        return replace(spec, colours=chosen), kind, category.parts[i].name
    i = counted[stream.integers(len(counted))]
    counts = [count for count in category.parts[i].counts if count != spec.counts[i]]
    return (
        replace(spec, counts=_with(spec.counts, i, counts[stream.integers(len(counts))])),
        kind,
        category.parts[i].name,
    )


def sample_object(spec: Spec, stream: np.random.Generator, points: int, noise: Noise) -> Sampled:
    """A cloud of `points` points of `spec`: random size and turn about the y axis, roughly in the unit sphere."""
    category = BY_NAME[spec.category]
    wobble = stream.uniform(-1, 1, WOBBLES)
    stretch = stream.uniform(0.85, 1.12, 3)
    turn, phase = stream.uniform(0, 2 * math.pi, 2)
    spots = stream.random(SPOTS)
    order = stream.permutation(points)
    places = stream.random((points, 3))
    jitter = stream.standard_normal((points, 7))

    centre, radius, axis = _frame(category)
    sizes = _sizes(category, points)
    xyz, rgb = np.empty((points, 3)), np.empty((points, 3))
    start = 0
    for i, (mesh, size) in enumerate(zip(category.build(wobble.tolist(), spec.counts), sizes, strict=True)):
        block = slice(start, start + size)
        surface = (mesh - centre) / radius
        xyz[block], chosen = sample(surface, places[block])
        rgb[block] = COLOURS[spec.colours[i]]
        if i == 0 and spec.texture == "rough":
            xyz[block] += _bumps(surface, chosen, jitter[block, 6])
            rgb[block] *= 1 - PIT * np.clip(jitter[block, 6:], 0, 1)
        elif i == 0 and spec.texture != "smooth":
            striped = spec.texture == "striped"
            marked = _stripes(xyz[block], axis, phase) if striped else _spots(xyz[block], spots)
            rgb[block] = np.where(marked[:, None], _lighter(spec.colours[0]), rgb[block])
        start += size
    cloud = np.empty((points, 6), np.float32)
    cloud[:, :3] = _turned(xyz * stretch, turn) + noise.position * jitter[:, :3]
    cloud[:, 3:] = np.clip(rgb + noise.colour * jitter[:, 3:6], 0, 1)
    return Sampled(cloud[order], np.repeat(np.arange(len(sizes)), sizes)[order])


def _with(values: tuple[Value, ...], place: int, value: Value) -> tuple[Value, ...]:
    return (*values[:place], value, *values[place + 1 :])


@cache
def _frame(category: Category) -> tuple[Vector, float, int]:
    """Centre and radius of the usual object of `category`, and the longest axis of its main part."""
    meshes = category.build((0.0,) * WOBBLES, tuple(part.usual for part in category.parts))
    corners = join(*meshes).reshape(-1, 3)
    centre = (corners.min(0) + corners.max(0)) / 2
    main = meshes[0].reshape(-1, 3)
    return centre, float(np.linalg.norm(corners - centre, axis=1).max()), int(np.argmax(np.ptp(main, axis=0)))


@cache
def _sizes(category: Category, points: int) -> tuple[int, ...]:
    """Points per part; what rounding leaves goes to the main part."""
    rest = [round(part.share * points) for part in category.parts[1:]]
    return (points - sum(rest), *rest)


def _turned(xyz: Float[np.ndarray, "N 3"], turn: float) -> Float[np.ndarray, "N 3"]:
    cos, sin = math.cos(turn), math.sin(turn)
    return xyz @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])


def _stripes(xyz: Float[np.ndarray, "n 3"], axis: int, phase: float) -> Bool[np.ndarray, " n"]:
    return (np.floor(xyz[:, axis] / STRIPE + phase) % 2).astype(bool)


def _spots(xyz: Float[np.ndarray, "n 3"], spots: Float[np.ndarray, " s"]) -> Bool[np.ndarray, " n"]:
    middles = xyz[(spots * len(xyz)).astype(int)]
    apart = ((xyz[:, None] - middles) ** 2).sum(-1)
    return (apart < SPOT**2).any(1)


def _bumps(mesh: Mesh, chosen: Int[np.ndarray, " n"], depth: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
    """A displacement of every point along the normal of its triangle."""
    across = normals(mesh)[chosen]
    return across / np.sqrt((across**2).sum(-1, keepdims=True)) * (BUMP * depth)[:, None]


def _lighter(colour: str) -> Vector:
    rgb = np.array(COLOURS[colour])
    return rgb * (1 - LIGHTER) if colour == "white" else rgb + LIGHTER * (1 - rgb)
