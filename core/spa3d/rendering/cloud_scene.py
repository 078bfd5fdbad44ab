"""Example clouds for the page: a still picture that needs nothing, and the points for the page's own viewer."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from PIL import Image

from spa3d.rendering.point_cloud import render, telling_yaw, upright
from spa3d.runtime.rng import generator

MOST_POINTS = 1024
PICTURE_SIZE = 240
PITCH = 25.0
REACH = 2.0
"""Coordinates are sent as 16-bit integers that span this many radii of the clean cloud."""
PROBES = 256
Cloud = Float32[np.ndarray, "N 6"]


@dataclass(frozen=True)
class View:
    """One cloud, ready for the page.

    Attributes:
        picture: PNG as a data address.
        points: base64 of one row per point, three little-endian int16 coordinates and three uint8 colours.

    """

    picture: str
    points: str


@dataclass(frozen=True)
class Scene:
    """A clean cloud and its noised twin, seen from the same side.

    Attributes:
        yaw: where the camera stands, in degrees.
        grain: distance between neighbouring points of the clean cloud, in radii.

    """

    clean: View
    noised: View
    yaw: float
    grain: float


def scene(clean: Cloud, noised: Cloud, *, up_axis: str, record_id: str) -> Scene:
    """Two clouds in one frame: the middle and the radius of the clean one.

    Args:
        clean: ``(N, 6)``, xyz in any unit and rgb in [0, 1]; all colours 0 means that there are none.
        noised: ``(M, 6)`` in the same frame.
        up_axis: x, y or z.
        record_id: keys the choice of points where there are more than `MOST_POINTS`.

    """
    sides = [np.array(upright(cloud, up_axis)) for cloud in (clean, noised)]
    middle = (sides[0][:, :3].max(0) + sides[0][:, :3].min(0)) / 2
    radius = float(np.linalg.norm(sides[0][:, :3] - middle, axis=1).max()) or 1.0
    for cloud in sides:
        cloud[:, :3] = (cloud[:, :3] - middle) / radius
    few = [_thinned(cloud, record_id) for cloud in sides]
    yaw = float(telling_yaw(sides[0]))
    shown, worse = (View(_picture(cloud, yaw), _packed(cloud)) for cloud in few)
    return Scene(shown, worse, yaw=yaw, grain=_grain(few[0][:, :3]))


def _thinned(cloud: Cloud, record_id: str) -> Cloud:
    if len(cloud) <= MOST_POINTS:
        return cloud
    return cloud[np.sort(generator("report", record_id).choice(len(cloud), MOST_POINTS, replace=False))]


def _picture(cloud: Cloud, yaw: float) -> str:
    file = io.BytesIO()
    Image.fromarray(render(cloud, size=PICTURE_SIZE, yaw=yaw, pitch=PITCH)).quantize(64).save(
        file, "PNG", optimize=True
    )
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _packed(cloud: Cloud) -> str:
    rows = np.empty(len(cloud), dtype=[("xyz", "<i2", 3), ("rgb", "u1", 3)])
    rows["xyz"] = np.clip(cloud[:, :3] / REACH, -1, 1) * 32767
    rows["rgb"] = np.clip(cloud[:, 3:6], 0, 1) * 255 + 0.5
    return base64.b64encode(rows.tobytes()).decode()


def _grain(xyz: Float32[np.ndarray, "N 3"]) -> float:
    """Median distance of a point to its third nearest neighbour."""
    few = xyz[:: max(1, len(xyz) // PROBES)]
    apart = np.linalg.norm(few[:, None] - xyz, axis=-1)
    nearest = min(3, len(xyz) - 1)
    return float(np.median(np.partition(apart, nearest, axis=1)[:, nearest]))
