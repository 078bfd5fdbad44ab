"""Things that travel, and the two that shelter."""

from __future__ import annotations

import math

import numpy as np

from spa3d_plugins.datasets.shapes_world.category import Category, Counts, Part, Wobble, spread
from spa3d_plugins.datasets.shapes_world.meshes import Mesh, box, ellipsoid, join, lathe, ring, rod, slab


def _lay_flat(mesh: Mesh) -> Mesh:
    """Turned so that x-y becomes x-z: a slab drawn as a floor plan lies flat."""
    return mesh[..., [0, 2, 1]]


def _wheels(count: int, length: float, half_width: float, radius: float, low: float) -> Mesh:
    """Wheels in two rows along x, the near row first."""
    rows = (math.ceil(count / 2), count // 2)
    places = [(x, z) for n, z in zip(rows, (half_width, -half_width), strict=True) for x in spread(n, length)]
    return join(*(rod((x, low, z - 0.08), (x, low, z + 0.08), radius) for x, z in places))


def _airplane(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    fin = slab([(-0.8, 0.1), (-0.5, 0.1), (-0.9, 0.65), (-1.15, 0.65)], 0.07)
    fuselage = join(ellipsoid((1.15, 0.19, 0.19)), fin)
    reach = 1.15 + 0.1 * w[0]
    wing = [(0.45, 0), (-0.1, reach), (-0.4, reach), (-0.2, 0)]
    tail = [(-0.65, 0), (-1.0, 0.48), (-1.2, 0.48), (-1.05, 0)]
    mirrored = [[(x, -z) for x, z in plan] for plan in (wing, tail)]
    wings = join(*(_lay_flat(slab(plan, 0.06)) for plan in (wing, tail, *mirrored)))
    places = (0.42, -0.42, 0.85, -0.85)[: counts[2]]
    engines = join(*(rod((0.35 - abs(z) / 3, -0.14, z), (-0.1 - abs(z) / 3, -0.14, z), 0.11) for z in places))
    return fuselage, wings, engines


def _rocket(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    wide = 0.3 + 0.04 * w[0]
    body = lathe([(0, -0.8), (wide * 0.8, -0.8), (wide, -0.3), (wide, 0.4)])
    nose = lathe([(wide, 0.4), (wide * 0.75, 0.7), (wide * 0.35, 0.95), (0, 1.1)])
    fin = slab([(wide * 0.9, -0.8), (wide * 0.95, -0.3), (wide + 0.4, -0.85), (wide + 0.4, -1.1)], 0.06)
    return body, nose, join(*(_rotate(fin, i / counts[2]) for i in range(counts[2])))


def _rotate(mesh: Mesh, share: float) -> Mesh:
    """`mesh` turned about the y axis by `share` of a full circle."""
    cos, sin = math.cos(2 * math.pi * share), math.sin(2 * math.pi * share)
    turned: Mesh = mesh @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    return turned


def _car(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    side = [(-1.1, -0.2), (1.1, -0.2), (1.12, 0.05), (0.95, 0.18), (-1.05, 0.22), (-1.12, 0.1)]
    body = slab(side, 0.9)
    high = 0.55 + 0.06 * w[0]
    cabin = slab([(-0.75, 0.2), (0.6, 0.18), (0.25, high), (-0.5, high)], 0.78)
    return body, cabin, _wheels(counts[2], 2.0, 0.5, 0.24, -0.24)


def _truck(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    high = 1.0 + 0.1 * w[0]
    trailer = box((1.7, high, 0.9), (-0.35, high / 2 - 0.15, 0))
    cab = slab([(0.55, -0.15), (1.2, -0.15), (1.2, 0.25), (1.0, 0.65), (0.55, 0.65)], 0.86)
    return trailer, cab, _wheels(counts[2], 2.3, 0.5, 0.17, -0.25)


def _bicycle(w: Wobble, _: Counts) -> tuple[Mesh, ...]:
    rear, front, low, top, head = (-0.62, 0, 0), (0.66, 0, 0), (-0.08, -0.04, 0), (-0.25, 0.58, 0), (0.46, 0.6, 0)
    bars = 0.82 + 0.06 * w[0]
    beams = ((rear, low), (rear, top), (low, top), (low, head), (top, head), (front, head))
    steer = (rod(head, (0.42, bars, 0), 0.04), rod((0.42, bars, -0.3), (0.42, bars, 0.3), 0.04))
    frame = join(*(rod(a, b, 0.045) for a, b in beams), *steer)
    wheels = join(ring(0.42, 0.05, rear), ring(0.42, 0.05, front))
    saddle = join(ellipsoid((0.2, 0.06, 0.12), (-0.3, 0.76, 0)), rod(top, (-0.29, 0.74, 0), 0.04))
    return frame, wheels, saddle


def _sailboat(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    hull = join(
        slab([(-0.8, -0.7), (0.7, -0.7), (1.1, -0.3), (-0.95, -0.3)], 0.3),
        slab([(-0.85, -0.5), (0.85, -0.5), (1.15, -0.25), (-1.0, -0.25)], 0.56),
    )
    high = 1.2 + 0.1 * w[0]
    mast = join(rod((0, -0.3, 0), (0, high, 0), 0.04), rod((-0.9, -0.15, 0), (0.9, -0.15, 0), 0.035))
    wide = 1.8 / counts[2]
    outlines = [
        [(x - wide * 0.42, -0.05), (x + wide * 0.42, -0.05), (x - wide * 0.3, 1.05)] for x in spread(counts[2], 1.8)
    ]
    return hull, mast, join(*(slab(outline, 0.05) for outline in outlines))


def _house(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    walls = box((1.4, 0.9, 1.1), (0, -0.3, 0))
    ridge = 0.85 + 0.12 * w[0]
    roof = join(
        _gable(0.85, 0.15, ridge, 1.3),
        box((0.2, 0.55, 0.2), (0.42, ridge - 0.15, -0.25)),
    )
    rows = ((math.ceil(counts[2] / 2), -0.05), (counts[2] // 2, -0.5))
    places = [(x, y) for n, y in rows for x in spread(n, 1.35)]
    windows = join(*(box((0.24, 0.24, 0.08), (x, y, 0.57)) for x, y in places))
    return walls, roof, windows


def _gable(half: float, low: float, ridge: float, depth: float) -> Mesh:
    return slab([(-half, low), (half, low), (0, ridge)], depth)


def _umbrella(w: Wobble, _: Counts) -> tuple[Mesh, ...]:
    wide = 1.0 + 0.08 * w[0]
    canopy = lathe([(wide, 0.35), (wide * 0.85, 0.6), (wide * 0.55, 0.82), (wide * 0.2, 0.93), (0, 0.95)], sides=8)
    shaft = rod((0, -0.75, 0), (0, 1.1, 0), 0.035)
    handle = ring(0.16, 0.05, (0.16, -0.75, 0), (180, 375))
    return canopy, shaft, handle


VEHICLES = (
    Category(
        "airplane",
        "traveling",
        "smooth",
        (
            Part("fuselage", "white", 0.42),
            Part("wings", "white", 0.35),
            Part("engines", "black", 0.23, (1, 2, 3, 4), 2),
        ),
        _airplane,
    ),
    Category(
        "rocket",
        "traveling",
        "striped",
        (
            Part("body", "white", 0.48),
            Part("nose", "red", 0.22),
            Part("fins", "red", 0.30, (2, 3, 4, 5), 4),
        ),
        _rocket,
    ),
    Category(
        "car",
        "traveling",
        "smooth",
        (
            Part("body", "red", 0.42),
            Part("cabin", "blue", 0.26),
            Part("wheels", "black", 0.32, (3, 4, 5, 6), 4),
        ),
        _car,
    ),
    Category(
        "truck",
        "traveling",
        "striped",
        (
            Part("trailer", "white", 0.44),
            Part("cab", "blue", 0.24),
            Part("wheels", "black", 0.32, (4, 6, 8, 10), 6),
        ),
        _truck,
    ),
    Category(
        "bicycle",
        "traveling",
        "smooth",
        (Part("frame", "red", 0.42), Part("wheels", "black", 0.46), Part("saddle", "black", 0.12)),
        _bicycle,
    ),
    Category(
        "sailboat",
        "traveling",
        "striped",
        (
            Part("hull", "brown", 0.42),
            Part("mast", "brown", 0.18),
            Part("sails", "white", 0.40, (1, 2, 3, 4), 2),
        ),
        _sailboat,
    ),
    Category(
        "house",
        "shelter",
        "rough",
        (
            Part("walls", "white", 0.42),
            Part("roof", "red", 0.33),
            Part("windows", "blue", 0.25, (2, 3, 4, 5), 4),
        ),
        _house,
    ),
    Category(
        "umbrella",
        "shelter",
        "striped",
        (Part("canopy", "red", 0.62), Part("shaft", "black", 0.22), Part("handle", "brown", 0.16)),
        _umbrella,
    ),
)
