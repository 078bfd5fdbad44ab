"""Categories of objects and their parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spa3d_plugins.datasets.shapes_world.meshes import Mesh

WOBBLES = 4

Wobble = Sequence[float]
"""`WOBBLES` numbers in [-1, 1] by which one chair differs from another."""
Counts = tuple[int, ...]
"""Number of each part, in the order of the parts; 0 where the part is not counted."""
Build = Callable[[Wobble, Counts], tuple[Mesh, ...]]
"""One mesh per part. A part's mesh must not depend on the count of another part: twins rely on it."""


@dataclass(frozen=True)
class Part:
    """A named part.

    Attributes:
        name: as in "What color are the legs?"; a counted part is in the plural.
        color: the color it has in most objects of the category.
        share: its share of the cloud's points, whatever its count.
        counts: possible counts, at least four values; empty if the part is not counted.
        usual: the count that most objects of the category have.

    """

    name: str
    color: str
    share: float
    counts: Counts = ()
    usual: int = 0


@dataclass(frozen=True)
class Category:
    """A kind of object. The first part is the main one, never counted: it carries the texture."""

    name: str
    use: str
    texture: str
    parts: tuple[Part, ...]
    build: Build


def plural(name: str) -> bool:
    """Whether the name of a part is in the plural: legs are, a mattress is not."""
    return name.endswith("s") and not name.endswith("ss")


def leg_positions(count: int, across: float, along: float) -> list[tuple[float, float]]:
    """Positions (x, z) of `count` legs.

    Four legs are at the corners, other counts on the ellipse through them.
    """
    if count == 4:
        return [(across, along), (-across, along), (-across, -along), (across, -along)]
    turns = [math.pi / 2 + 2 * math.pi * i / count for i in range(count)]
    return [(1.15 * across * math.cos(turn), 1.15 * along * math.sin(turn)) for turn in turns]


def spread(count: int, width: float) -> list[float]:
    """`count` places along a line of `width` centered at 0, each in the middle of its share."""
    return [width * ((i + 0.5) / count - 0.5) for i in range(count)]
