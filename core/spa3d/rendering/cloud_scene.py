"""Example clouds of a page: still pictures, and points for the viewer of the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from PIL import Image

from spa3d.rendering.point_cloud import choose_yaw, enclosing_sphere, median_spacing, render, rotate_y_up

MOST_POINTS = 1024
PICTURE_SIZE = 240
PITCH = 25.0
REACH = 2.0
"""Range of the 16-bit coordinates, in radii of the clean cloud."""
PROBES = 256
Cloud = Float32[np.ndarray, "N 6"]


@dataclass(frozen=True)
class CloudImage:
    """Cloud in the format of the page.

    Attributes:
        picture: PNG as a data URL.
        points: base64 of one row per point: three little-endian int16 coordinates, then three uint8 colors.

    """

    picture: str
    points: str


@dataclass(frozen=True)
class Scene:
    """Clean and noised version of a cloud, seen from the same side.

    Attributes:
        clean: the clean cloud.
        noised: the noised cloud.
        yaw: angle of the camera around the vertical axis, in degrees.
        grain: distance between neighboring points of the clean cloud, in radii.

    """

    clean: CloudImage
    noised: CloudImage
    yaw: float
    grain: float


def build_scene(clean: Cloud, noised: Cloud, *, up_axis: str, make_rng: Callable[[], np.random.Generator]) -> Scene:
    """Build two clouds in one frame, that of the center and radius of the clean cloud.

    Args:
        clean: ``(N, 6)``, xyz in any unit and rgb in [0, 1]; if all colors are 0, the cloud has no colors.
        noised: ``(M, 6)`` in the same frame; if it is `clean` itself, it is drawn once.
        up_axis: x, y or z.
        make_rng: makes the generator for thinning a cloud of more than `MOST_POINTS` points. It is called once per
            cloud, so that equal generators choose the same points of both.

    """
    sides = [np.array(rotate_y_up(cloud, up_axis)) for cloud in ([clean] if noised is clean else [clean, noised])]
    middle, radius = enclosing_sphere(sides[0][:, :3])
    for cloud in sides:
        cloud[:, :3] = (cloud[:, :3] - middle) / radius
    few = [_thin_out(cloud, make_rng) for cloud in sides]
    yaw = float(choose_yaw(sides[0]))
    images = [CloudImage(_draw(cloud, yaw), _pack(cloud)) for cloud in few]
    return Scene(images[0], images[-1], yaw=yaw, grain=median_spacing(few[0][:, :3], probes=PROBES))


def _thin_out(cloud: Cloud, make_rng: Callable[[], np.random.Generator]) -> Cloud:
    if len(cloud) <= MOST_POINTS:
        return cloud
    return cloud[np.sort(make_rng().choice(len(cloud), MOST_POINTS, replace=False))]


def _draw(cloud: Cloud, yaw: float) -> str:
    file = io.BytesIO()
    Image.fromarray(render(cloud, size=PICTURE_SIZE, yaw=yaw, pitch=PITCH)).quantize(64).save(
        file, "PNG", optimize=True
    )
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _pack(cloud: Cloud) -> str:
    rows = np.empty(len(cloud), dtype=[("xyz", "<i2", 3), ("rgb", "u1", 3)])
    rows["xyz"] = np.clip(cloud[:, :3] / REACH, -1, 1) * 32767
    rows["rgb"] = np.clip(cloud[:, 3:6], 0, 1) * 255 + 0.5
    return base64.b64encode(rows.tobytes()).decode()
