"""Pictures of point clouds without a graphics library: a z-buffer in numpy.

Every point is drawn as a small dome toward the camera. The nearest dome covers a pixel, so neighboring domes meet
halfway and form a closed surface. Edges with a jump in depth are darkened (eye-dome lighting; Boucheny, "Interactive
scientific visualization of large datasets", 2009), so that a white object is visible on a pale background.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, UInt8

Picture = UInt8[np.ndarray, "H W 3"]

BACKGROUND = (0.80, 0.83, 0.87)
COLORLESS = (0.55, 0.60, 0.66)
OVERSAMPLING = 2
CORNER = 32.0
FOOTPRINT = 1.05
"""Radius of a dome, in units of the distance to the third nearest neighbor."""
PROBES = 64
"""Number of points for measuring that distance."""


def render(
    cloud: Float[np.ndarray, "N 6"],
    *,
    size: int = 256,
    yaw: float | None = None,
    pitch: float = 25.0,
    like: Float[np.ndarray, "M 6"] | None = None,
    reach: float = 1.0,
) -> Picture:
    """Render a picture of `cloud`, ``(size, size, 3)`` uint8.

    Args:
        cloud: xyz in any unit, y up, and rgb in [0, 1]; a cloud with all colors 0 is drawn in gray.
        size: edge of the picture in pixels.
        yaw: angle of the camera around the vertical axis, in degrees; at 0 it looks along -z. None uses `choose_yaw`;
            pass a number to show several clouds from the same side.
        pitch: angle of the camera above the horizontal plane, in degrees.
        like: reference cloud for position, scale and point size, for comparable pictures; None uses `cloud`.
        reach: radius of the view, in radii of the reference cloud; points beyond are left out.

    """
    width = size * OVERSAMPLING
    model = (cloud if like is None else like)[:, :3]
    origin, unit = enclosing_sphere(model)
    scaled = (cloud[:, :3] - origin) / (unit * reach)
    across, down, depth = _project(scaled, choose_yaw(cloud) if yaw is None else yaw, pitch)
    rgb = cloud[:, 3:6] if cloud[:, 3:6].any() else np.broadcast_to(COLORLESS, (len(cloud), 3))
    middle = width / 2
    pixels = np.stack([middle + across * middle * 0.92, middle - down * middle * 0.92], -1)
    order = np.argsort(depth)  # far to near, so that the last disc written on a pixel is the nearest
    radius = min(max(1.0, FOOTPRINT * median_spacing(model) / (unit * reach) * middle), width / 16)
    image, distance = _splat(pixels[order], depth[order], rgb[order], radius=radius, width=width)
    shaded = image * _lighting(distance, width)[..., None]
    small = shaded.reshape(size, OVERSAMPLING, size, OVERSAMPLING, 3).mean((1, 3))
    picture: Picture = (small * 255 + 0.5).astype(np.uint8)
    return picture


def rotate_y_up(cloud: Float[np.ndarray, "N 6"], up_axis: str) -> Float[np.ndarray, "N 6"]:
    """Rotate `cloud` from `up_axis` (x, y or z) to y up."""
    order = {"x": (2, 0, 1), "y": (0, 1, 2), "z": (1, 2, 0)}[up_axis]
    return cloud[:, (*order, 3, 4, 5)]


def choose_yaw(cloud: Float[np.ndarray, "N C"]) -> float:
    """Choose a view of the broad side, from a corner, with high parts behind; yaw in degrees."""
    xyz = cloud[:, :3].astype(np.float64)  # squares of valid float32 coordinates may be infinite in float32
    spread = xyz - xyz.mean(0)
    flat = spread[:, (0, 2)]
    x, z = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    broad = math.degrees(math.atan2(-z, x))
    rise = spread[:, 1] @ flat

    def rises_towards_camera(yaw: float) -> float:
        return float(rise @ (math.sin(math.radians(yaw)), math.cos(math.radians(yaw))))

    corners = (broad + turn for turn in (CORNER, -CORNER, 180 + CORNER, 180 - CORNER))
    return math.remainder(min(corners, key=rises_towards_camera), 360.0)


def median_spacing(xyz: Float[np.ndarray, "N 3"], *, probes: int = PROBES) -> float:
    """Median distance to the third nearest neighbor, measured at about `probes` of the points."""
    xyz = xyz.astype(np.float64)
    few = xyz[:: max(1, len(xyz) // probes)]
    apart = np.sqrt(((few[:, None] - xyz) ** 2).sum(-1))
    nearest = min(3, len(xyz) - 1)
    return float(np.median(np.partition(apart, nearest, axis=1)[:, nearest]))


def enclosing_sphere(xyz: Float[np.ndarray, "N 3"]) -> tuple[Float[np.ndarray, " 3"], float]:
    """Center of the bounding box, and largest distance to it (1 if that is 0)."""
    xyz = xyz.astype(np.float64)
    middle = (xyz.max(0) + xyz.min(0)) / 2
    radius = float(np.sqrt(((xyz - middle) ** 2).sum(1)).max())
    return middle, radius if radius > 0 else 1.0


def _project(
    xyz: Float[np.ndarray, "N 3"], yaw: float, pitch: float
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Project in parallel to right, up and toward the camera, in units of `xyz`."""
    x, y, z = xyz.T
    turn, tilt = math.radians(yaw), math.radians(pitch)
    right = x * math.cos(turn) - z * math.sin(turn)
    near = x * math.sin(turn) + z * math.cos(turn)
    return right, y * math.cos(tilt) - near * math.sin(tilt), y * math.sin(tilt) + near * math.cos(tilt)


def _splat(
    pixels: Float[np.ndarray, "N 2"],
    depth: Float[np.ndarray, " N"],
    rgb: Float[np.ndarray, "N 3"],
    *,
    radius: float,
    width: int,
) -> tuple[Float[np.ndarray, "W W 3"], Float[np.ndarray, "W W"]]:
    """Draw points from far to near into colors and depth (-inf: empty); `radius` in pixels."""
    reach = range(-math.ceil(radius), math.ceil(radius) + 1)
    corner = np.round(pixels).astype(int)
    image = np.tile(np.array(BACKGROUND), (width * width, 1))
    distance = np.full(width * width, -np.inf)
    for dx, dy in ((x, y) for x in reach for y in reach if x * x + y * y <= radius * radius):
        x, y = corner[:, 0] + dx, corner[:, 1] + dy
        dome = depth - (dx * dx + dy * dy) / (radius * width)
        flat = np.clip(y, 0, width - 1) * width + np.clip(x, 0, width - 1)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < width)
        seen = inside & (dome > distance[flat])
        # If two points share a pixel, numpy keeps the last value, that of the nearer point.
        image[flat[seen]] = rgb[seen]
        distance[flat[seen]] = dome[seen]
    return image.reshape(width, width, 3), distance.reshape(width, width)


def _lighting(distance: Float[np.ndarray, "W W"], width: int) -> Float[np.ndarray, "W W"]:
    """Brightness per pixel: darker behind a jump in depth, slightly darker far away."""
    step = max(1, width // 170)
    far = np.isfinite(distance)
    ground = np.where(far, distance, -1.5)
    padded = np.pad(ground, step, mode="edge")
    shadow = np.zeros_like(ground)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
        neighbor = padded[step + dy * step :, step + dx * step :][:width, :width]
        shadow += np.clip(neighbor - ground, 0, 0.4)
    haze = np.where(far, 0.88 + 0.12 * np.clip(ground, -1, 1), 1.0)
    return np.exp(-0.35 * shadow) * haze
