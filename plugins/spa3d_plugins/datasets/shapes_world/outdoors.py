"""Plants, food, tools and things to wear."""

from __future__ import annotations

import math

from spa3d_plugins.datasets.shapes_world.category import Category, Counts, Part, Wobble, spread
from spa3d_plugins.datasets.shapes_world.meshes import Mesh, box, ellipsoid, join, lathe, rod, slab


def _tree(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    wide = 0.55 + 0.05 * w[0]
    blobs = ((0, 0.75, 0, 0.5), (wide * 0.7, 0.35, 0, 0.45), (-wide * 0.5, 0.35, wide * 0.5, 0.45))
    crown = join(
        *(ellipsoid((r, r * 0.9, r), (x, y, z)) for x, y, z, r in blobs),
        ellipsoid((0.45, 0.4, 0.45), (-wide * 0.3, 0.35, -wide * 0.6)),
    )
    trunk = rod((0, -1.1, 0), (0, 0.2, 0), 0.2, 0.11)
    return crown, trunk, join(*(_apple(i, counts[2]) for i in range(counts[2])))


def _apple(number: int, count: int) -> Mesh:
    """One of `count` apples that hang below the crown, evenly round the trunk."""
    turn = 2 * math.pi * number / count
    return ellipsoid((0.15, 0.15, 0.15), (0.72 * math.cos(turn), -0.12, 0.72 * math.sin(turn)))


def _mushroom(w: Wobble, _: Counts) -> tuple[Mesh, ...]:
    wide = 0.85 + 0.08 * w[0]
    cap = lathe([(0.22, 0.15), (wide, 0.12), (wide * 0.95, 0.32), (wide * 0.7, 0.62), (wide * 0.35, 0.8), (0, 0.85)])
    stem = lathe([(0, -0.85), (0.32, -0.85), (0.24, -0.4), (0.2, 0.2)])
    return cap, stem


def _flower(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    heart = ellipsoid((0.3, 0.3, 0.14), (0, 0.5, 0.06))
    reach = 0.5 + 0.04 * w[0]
    turns = [2 * math.pi * i / counts[1] + math.pi / 2 for i in range(counts[1])]
    petals = join(*(_petal(turn, reach) for turn in turns))
    leaves = join(ellipsoid((0.3, 0.06, 0.12), (0.3, -0.55, 0)), ellipsoid((0.3, 0.06, 0.12), (-0.3, -0.75, 0)))
    return heart, petals, join(rod((0, -1.15, 0), (0, 0.4, 0), 0.05), leaves)


def _petal(turn: float, reach: float) -> Mesh:
    cos, sin = math.cos(turn), math.sin(turn)
    flat = [
        (-0.24, 0),
        (-0.12, 0.12),
        (0.08, 0.16),
        (0.22, 0.1),
        (0.27, 0),
        (0.22, -0.1),
        (0.08, -0.16),
        (-0.12, -0.12),
    ]
    outline = [((reach + x) * cos - y * sin, 0.5 + (reach + x) * sin + y * cos) for x, y in flat]
    return slab(outline, 0.06)


def _snowman(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    head = 0.28 + 0.03 * w[0]
    body = join(
        ellipsoid((0.55, 0.5, 0.55), (0, -0.65, 0)),
        ellipsoid((0.42, 0.4, 0.42), (0, 0.05, 0)),
        ellipsoid((head, head, head), (0, 0.58, 0)),
    )
    cap = lathe([(0, 0.8), (0.38, 0.8), (0.38, 0.86), (0.22, 0.86), (0.22, 1.15), (0, 1.15)])
    heights = [-0.25 - y for y in spread(counts[2], 1.3)]
    buttons = join(*(ellipsoid((0.07, 0.07, 0.07), (0, y, _front(y))) for y in heights))
    return body, cap, buttons


def _front(y: float) -> float:
    """Reach forward of the two lower balls of a snowman at height `y`."""
    lower = 1 - ((y + 0.65) / 0.5) ** 2
    upper = 1 - ((y - 0.05) / 0.4) ** 2
    return max(0.55 * math.sqrt(max(lower, 0)), 0.42 * math.sqrt(max(upper, 0)), 0.2)


def _cake(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    high = 0.5 + 0.06 * w[0]
    sponge = lathe([(0.8, -0.4), (0.8, high - 0.4), (0, high - 0.4)])
    plate = lathe([(0, -0.45), (0.75, -0.45), (1.1, -0.36), (0.75, -0.4), (0, -0.4)])
    turns = [2 * math.pi * i / counts[2] for i in range(counts[2])]
    feet = [(0.5 * math.cos(turn), 0.5 * math.sin(turn)) for turn in turns]
    candles = join(*(rod((x, high - 0.42, z), (x, high + 0.1, z), 0.07) for x, z in feet))
    return sponge, plate, candles


def _sword(w: Wobble, _: Counts) -> tuple[Mesh, ...]:
    wide = 0.13 + 0.02 * w[0]
    blade = slab([(-wide, -0.4), (wide, -0.4), (wide * 0.85, 0.85), (0, 1.15), (-wide * 0.85, 0.85)], 0.06)
    guard = box((0.75, 0.12, 0.16), (0, -0.45, 0))
    grip = join(rod((0, -1.0, 0), (0, -0.45, 0), 0.07), ellipsoid((0.12, 0.12, 0.12), (0, -1.05, 0)))
    return blade, guard, grip


def _hammer(w: Wobble, _: Counts) -> tuple[Mesh, ...]:
    long = 0.5 + 0.05 * w[0]
    head = join(
        box((0.5, 0.32, 0.3), (0, 0.75, 0)),
        rod((0.2, 0.75, 0), (long + 0.1, 0.75, 0), 0.2),
        slab([(-0.2, 0.9), (-long - 0.15, 0.62), (-long - 0.15, 0.55), (-0.2, 0.6)], 0.28),
    )
    handle = rod((0, -1.1, 0), (0, 0.95, 0), 0.11, 0.08)
    return head, handle


def _ladder(w: Wobble, counts: Counts) -> tuple[Mesh, ...]:
    wide = 0.36 + 0.04 * w[0]
    rails = join(*(box((0.1, 2.3, 0.12), (side * wide, 0, 0)) for side in (-1, 1)))
    rungs = join(*(rod((-wide, y, 0), (wide, y, 0), 0.045) for y in spread(counts[1], 2.2)))
    return rails, rungs


def _hat(w: Wobble, _: Counts) -> tuple[Mesh, ...]:
    high = 0.75 + 0.1 * w[0]
    crown = lathe([(0.55, 0.12), (0.52, high), (0, high)])
    brim = lathe([(0, -0.2), (1.0, -0.2), (1.02, -0.15), (0.55, -0.14)])
    band = lathe([(0.58, -0.14), (0.58, 0.12)])
    return crown, brim, band


OUTDOORS = (
    Category(
        "tree",
        "decoration",
        "rough",
        (
            Part("crown", "green", 0.55),
            Part("trunk", "brown", 0.2),
            Part("apples", "red", 0.25, (2, 3, 4, 5), 3),
        ),
        _tree,
    ),
    Category(
        "mushroom",
        "eating",
        "spotted",
        (Part("cap", "red", 0.65), Part("stem", "white", 0.35)),
        _mushroom,
    ),
    Category(
        "flower",
        "decoration",
        "rough",
        (
            Part("heart", "yellow", 0.28),
            Part("petals", "purple", 0.48, (4, 5, 6, 7, 8), 6),
            Part("stem", "green", 0.24),
        ),
        _flower,
    ),
    Category(
        "snowman",
        "decoration",
        "rough",
        (
            Part("body", "white", 0.64),
            Part("cap", "black", 0.2),
            Part("buttons", "black", 0.16, (2, 3, 4, 5), 3),
        ),
        _snowman,
    ),
    Category(
        "cake",
        "eating",
        "spotted",
        (
            Part("sponge", "brown", 0.5),
            Part("plate", "white", 0.25),
            Part("candles", "red", 0.25, (2, 3, 4, 5, 6), 3),
        ),
        _cake,
    ),
    Category(
        "sword",
        "fighting",
        "smooth",
        (Part("blade", "white", 0.54), Part("guard", "yellow", 0.22), Part("grip", "black", 0.24)),
        _sword,
    ),
    Category(
        "hammer",
        "building",
        "rough",
        (Part("head", "black", 0.6), Part("handle", "brown", 0.4)),
        _hammer,
    ),
    Category(
        "ladder",
        "building",
        "rough",
        (Part("rails", "brown", 0.5), Part("rungs", "brown", 0.5, (3, 4, 5, 6, 7), 5)),
        _ladder,
    ),
    Category(
        "hat",
        "wearing",
        "smooth",
        (Part("crown", "black", 0.5), Part("brim", "black", 0.34), Part("band", "red", 0.16)),
        _hat,
    ),
)
