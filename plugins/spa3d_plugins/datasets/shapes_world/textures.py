"""Textures of the main part: stripes and spots (color), roughness (shape); lengths in radii."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from spa3d_plugins.datasets.shapes_world.categories import COLORS
from spa3d_plugins.datasets.shapes_world.meshes import Mesh, normals

STRIPE_WIDTH = 0.15
SPOT_RADIUS = 0.17
SPOTS = 9
MOST_SPOTTED = 0.4
"""Share of a small part that may lie under spots: it must still show its own color."""
LIGHTER = 0.6
"""Share of white mixed into stripes and spots (those of a white part: towards black)."""
BUMP = 0.05
"""Standard deviation of a rough surface."""
PIT = 0.25
"""Darkening of a rough surface that lies one standard deviation deep."""


def stripes(xyz: Float[np.ndarray, "n 3"], *, axis: int, phase: float) -> Bool[np.ndarray, " n"]:
    """Mask of the points on every second band across `axis`; `phase` in band widths."""
    return (np.floor(xyz[:, axis] / STRIPE_WIDTH + phase) % 2).astype(bool)


def spots(xyz: Float[np.ndarray, "n 3"], *, places: Float[np.ndarray, " s"]) -> Bool[np.ndarray, " n"]:
    """Mask of the points near a chosen one; `places` in [0, 1) choose among the points."""
    middles = xyz[(places * len(xyz)).astype(int)]
    apart = ((xyz[:, None] - middles) ** 2).sum(-1).min(1)
    most = int(MOST_SPOTTED * len(xyz))
    near: Bool[np.ndarray, " n"] = apart < min(SPOT_RADIUS**2, np.partition(apart, most)[most])
    return near


def lighten(color: str) -> Float[np.ndarray, " 3"]:
    """The color of stripes and spots on a part of `color`."""
    rgb = np.array(COLORS[color])
    return rgb * (1 - LIGHTER) if color == "white" else rgb + LIGHTER * (1 - rgb)


def bumps(mesh: Mesh, chosen: Int[np.ndarray, " n"], depth: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
    """Displacement of points that lie on the `chosen` triangles; `depth` in standard deviations."""
    across = normals(mesh)[chosen]
    return across / np.sqrt((across**2).sum(-1, keepdims=True)) * (BUMP * depth)[:, None]


def pits(depth: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Factor by which the color of a rough surface is darkened."""
    return 1 - PIT * np.clip(depth, 0, 1)
