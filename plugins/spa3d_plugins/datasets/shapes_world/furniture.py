"""Furniture and things of the house."""

from __future__ import annotations

from spa3d_plugins.datasets.shapes_world.category import Category, Counts, Part, Wobble, leg_positions, spread
from spa3d_plugins.datasets.shapes_world.meshes import Mesh, box, ellipsoid, join, lathe, ring, rod


def _chair(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    seat = box((1.0, 0.1, 1.0))
    height = 1.05 + 0.15 * w[0]
    lean = 0.12 + 0.06 * w[1]
    back = box((0.96, height, 0.08), (0, 0.05 + height / 2, -0.44))
    back[..., 2] -= lean * back[..., 1]
    legs = join(
        *(rod((x, -0.05, z), (x * 1.05, -0.95, z * 1.05), 0.065) for x, z in leg_positions(counts[2], 0.42, 0.42))
    )
    return seat, back, legs


def _stool(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    seat = lathe([(0, -0.1), (0.52, -0.1), (0.55, 0), (0.52, 0.1), (0, 0.1)])
    flare = 1.45 + 0.15 * w[0]
    places = [(x * 0.84, z * 0.84) if counts[1] == 4 else (x, z) for x, z in leg_positions(counts[1], 0.33, 0.33)]
    legs = join(*(rod((x, -0.08, z), (x * flare, -1.25, z * flare), 0.06) for x, z in places))
    return seat, legs


def _sofa(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    arm = 0.5 + 0.08 * w[0]
    seat = join(
        box((2.2, 0.4, 1.05)),
        box((0.26, arm + 0.4, 1.05), (-1.2, arm / 2, 0)),
        box((0.26, arm + 0.4, 1.05), (1.2, arm / 2, 0)),
    )
    back = box((2.66, 1.25 + 0.1 * w[1], 0.22), (0, 0.42, -0.62))
    wide = min(0.26, 0.62 / counts[2])
    cushions = join(*(ellipsoid((wide, 0.26, 0.14), (x, 0.46, -0.3)) for x in spread(counts[2], 2.0)))
    return seat, back, cushions


def _table(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    top = box((2.0, 0.12, 1.25 + 0.15 * w[0]))
    legs = join(*(rod((x, -0.05, z), (x, -1.0, z), 0.075) for x, z in leg_positions(counts[1], 0.82, 0.47)))
    return top, legs


def _bed(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    mattress = box((1.5, 0.36, 2.1))
    height = 1.05 + 0.12 * w[0]
    headboard = join(
        box((1.6, height, 0.1), (0, height / 2 - 0.4, -1.1)),
        *(rod((x, -0.5, 0.95), (x, 0.28, 0.95), 0.08) for x in (-0.76, 0.76)),
    )
    wide = min(0.3, 0.46 / counts[2])
    pillows = join(*(ellipsoid((wide, 0.14, 0.22), (x, 0.3, -0.72)) for x in spread(counts[2], 1.5)))
    return mattress, headboard, pillows


def _lamp(w: Wobble, _: Counts) -> tuple[Mesh, ...]:
    shade = lathe([(0.62, 0.35), (0.34 + 0.05 * w[0], 1.0)])
    pole = rod((0, -0.95, 0), (0, 0.75, 0), 0.05)
    foot = lathe([(0, -1.05), (0.48, -1.05), (0.44, -0.95), (0, -0.9)])
    return shade, pole, foot


def _candle(w: Wobble, _: Counts) -> tuple[Mesh, ...]:
    height = 1.05 + 0.15 * w[0]
    stick = lathe([(0.22, 0), (0.22, height), (0, height)])
    flame = lathe([(0, 0), (0.11, 0.1), (0.13, 0.2), (0.06, 0.38), (0, 0.5)], (0, height + 0.02, 0))
    dish = join(lathe([(0, -0.06), (0.5, -0.06), (0.62, 0.14), (0.5, 0), (0, 0)]), ring(0.17, 0.045, (0.76, 0.02, 0)))
    return stick, flame, dish


def _mug(w: Wobble, _: Counts) -> tuple[Mesh, ...]:
    wide = 0.52 + 0.05 * w[0]
    body = lathe([(0, -0.55), (wide, -0.55), (wide, 0.55), (wide - 0.07, 0.55), (wide - 0.07, -0.45), (0, -0.45)])
    handle = ring(0.32, 0.075, (wide - 0.02, 0, 0), (-95, 95))
    return body, handle


def _bottle(w: Wobble, _: Counts) -> tuple[Mesh, ...]:
    wide = 0.36 + 0.05 * w[0]
    body = lathe([(0, -1.0), (wide, -1.0), (wide, 0.1), (wide * 0.85, 0.25), (0.13, 0.45)])
    neck = lathe([(0.13, 0.45), (0.12, 0.85)])
    cap = lathe([(0.15, 0.82), (0.15, 1.02), (0, 1.02)])
    return body, neck, cap


FURNITURE = (
    Category(
        "chair",
        "sitting",
        "smooth",
        (
            Part("seat", "brown", 0.36),
            Part("back", "brown", 0.34),
            Part("legs", "black", 0.30, (3, 4, 5, 6), 4),
        ),
        _chair,
    ),
    Category(
        "stool",
        "sitting",
        "smooth",
        (Part("seat", "red", 0.55), Part("legs", "brown", 0.45, (3, 4, 5, 6), 3)),
        _stool,
    ),
    Category(
        "sofa",
        "sitting",
        "striped",
        (
            Part("seat", "blue", 0.45),
            Part("back", "blue", 0.30),
            Part("cushions", "white", 0.25, (1, 2, 3, 4), 3),
        ),
        _sofa,
    ),
    Category(
        "table",
        "eating",
        "smooth",
        (Part("top", "brown", 0.6), Part("legs", "brown", 0.4, (3, 4, 5, 6), 4)),
        _table,
    ),
    Category(
        "bed",
        "sleeping",
        "striped",
        (
            Part("mattress", "white", 0.45),
            Part("headboard", "brown", 0.32),
            Part("pillows", "blue", 0.23, (1, 2, 3, 4), 2),
        ),
        _bed,
    ),
    Category(
        "lamp",
        "giving light",
        "spotted",
        (Part("shade", "yellow", 0.5), Part("pole", "black", 0.25), Part("foot", "black", 0.25)),
        _lamp,
    ),
    Category(
        "candle",
        "giving light",
        "smooth",
        (Part("stick", "white", 0.45), Part("flame", "orange", 0.2), Part("dish", "yellow", 0.35)),
        _candle,
    ),
    Category(
        "mug",
        "drinking",
        "spotted",
        (Part("body", "white", 0.75), Part("handle", "red", 0.25)),
        _mug,
    ),
    Category(
        "bottle",
        "drinking",
        "smooth",
        (Part("body", "green", 0.65), Part("neck", "green", 0.2), Part("cap", "red", 0.15)),
        _bottle,
    ),
)
