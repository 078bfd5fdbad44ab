"""Solids as triangle soups, and uniform samples of their surface.

A mesh is an array ``(T, 3, 3)``: T triangles of three corners, y up, no units. Everything round is a lathe, so the
whole geometry of the world is four constructors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from jaxtyping import Float, Int

Mesh = Float[np.ndarray, "T 3 3"]
Point = tuple[float, float, float]
ORIGIN: Point = (0.0, 0.0, 0.0)
SIDES = 16


def join(*meshes: Mesh) -> Mesh:
    """All triangles in one mesh."""
    return np.concatenate(meshes)


def box(size: Point, at: Point = ORIGIN) -> Mesh:
    """A box of `size` centered `at`."""
    return _unit_box() * np.array(size) + np.array(at)


def lathe(profile: Sequence[tuple[float, float]], at: Point = ORIGIN, sides: int = SIDES) -> Mesh:
    """The (radius, y) points of `profile`, joined by straight lines and turned about the y axis."""
    radius, height = np.array(profile).T
    across, along = _circle(sides)
    ring = np.stack([radius[:, None] * across, np.repeat(height[:, None], sides + 1, 1), radius[:, None] * along], -1)
    return _quads(ring) + np.array(at)


def ellipsoid(radii: Point, at: Point = ORIGIN) -> Mesh:
    """An ellipsoid with semi-axes `radii` centered `at`."""
    return _unit_sphere() * np.array(radii) + np.array(at)


def rod(start: Point, end: Point, radius: float, tip: float | None = None) -> Mesh:
    """A capped cylinder from `start` to `end`; its radius changes from `radius` to `tip`."""
    x, y, z = (b - a for a, b in zip(start, end, strict=True))
    # Any two directions across the rod will do: (x, y, z) times the first, or the third, unit vector, and its product.
    side = (0.0, z, -y) if abs(x) < abs(y) + abs(z) else (y, -x, 0.0)
    other = (side[1] * z - side[2] * y, side[2] * x - side[0] * z, side[0] * y - side[1] * x)
    wide, tall = radius / math.hypot(*side), radius / math.hypot(*other)
    rows = [[wide * v for v in side], [x, y, z], [tall * v for v in other]]
    unit = _unit_rod(1.0 if tip is None else tip / radius)
    turned: Mesh = unit @ np.array(rows) + np.array(start)
    return turned


def ring(radius: float, thickness: float, at: Point = ORIGIN, arc: tuple[float, float] = (0.0, 360.0)) -> Mesh:
    """A torus in the x-y plane around `at`, or an arc of it.

    `arc` is two angles in degrees (0 is +x, 90 is +y).
    """
    turn = np.radians(np.linspace(*arc, 25))[:, None]
    across, along = _circle(8)
    out = radius + thickness * across
    tube = np.stack([out * np.cos(turn), out * np.sin(turn), np.broadcast_to(thickness * along, (25, 9))], -1)
    return _quads(tube) + np.array(at)


def slab(outline: Sequence[tuple[float, float]], depth: float, at: Point = ORIGIN) -> Mesh:
    """The convex (x, y) `outline`, extruded along z from -depth / 2 to depth / 2, moved by `at`."""
    flat = np.array(outline)
    front = np.column_stack([flat, np.full(len(flat), depth / 2)])
    back = front * (1.0, 1.0, -1.0)
    fan = [np.stack([side[0], side[i], side[i + 1]]) for side in (front, back) for i in range(1, len(flat) - 1)]
    loop = np.stack([front, back])[:, [*range(len(flat)), 0]]
    return np.concatenate([np.array(fan), _quads(loop)]) + np.array(at)


def sample(mesh: Mesh, numbers: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, " n"]]:
    """Points spread evenly over the surface, and the triangle each lies in.

    `numbers` in [0, 1) set the points: the first chooses the triangle (stratified, so that every part of the surface
    is sampled), the others the position in it.
    """
    n = len(numbers)
    reach = np.cumsum(np.sqrt((normals(mesh) ** 2).sum(-1)))
    position = (np.arange(n) + numbers[:, 0]) / n * reach[-1]
    chosen = np.minimum(np.searchsorted(reach, position, side="right"), len(mesh) - 1)
    root = np.sqrt(numbers[:, 1:2])
    share = root * numbers[:, 2:3]
    corners = mesh[chosen]
    points = corners[:, 0] * (1 - root) + corners[:, 1] * (root - share) + corners[:, 2] * share
    return points, chosen


def normals(mesh: Mesh) -> Float[np.ndarray, "T 3"]:
    """Normal of each triangle, of length twice its area; its sign is undefined."""
    (ax, ay, az), (bx, by, bz) = (mesh[:, 1] - mesh[:, 0]).T, (mesh[:, 2] - mesh[:, 0]).T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


def _quads(grid: Float[np.ndarray, "R S 3"]) -> Mesh:
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    return np.stack([np.stack([a, b, c], -2), np.stack([a, c, d], -2)]).reshape(-1, 3, 3)


@cache
def _circle(sides: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    turn = np.linspace(0, 2 * math.pi, sides + 1)
    return np.cos(turn), np.sin(turn)


@cache
def _unit_rod(tip: float) -> Mesh:
    return lathe([(0, 0), (1, 0), (tip, 1), (0, 1)], sides=12)


@cache
def _unit_sphere() -> Mesh:
    turn = np.linspace(-math.pi / 2, math.pi / 2, 9)
    return lathe(list(zip(np.cos(turn).tolist(), np.sin(turn).tolist(), strict=True)))


@cache
def _unit_box() -> Mesh:
    return slab([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)], 1.0)
