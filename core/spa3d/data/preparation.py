"""Preparation of a cloud for an encoder.

A cloud ``(N, 6)``, xyz and rgb, of a dataset is checked (`load_valid_cloud`), then made float32, resampled, normalized
and colored once (`prepare`). Noise acts on this prepared cloud. `encoder_inputs` then selects the channels of the
encoder: height is measured after the noise, and nothing is normalized again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from spa3d import ops
from spa3d.contracts.dataset import CloudArray, Record
from spa3d.contracts.encoder import Channel
from spa3d.data.cloud_checks import check, cloud_radius, is_colored, reject_coarse, require_points
from spa3d.errors import DataError, RecordError, error_context
from spa3d.runtime.rng import Draws, Key

Axis = Literal["x", "y", "z"]
Method = Literal["fps", "random"]


def load_valid_cloud(record: Record, *, min_points: int = 1, requested_by: str = "") -> CloudArray:
    """Load the unchanged cloud of `record`, and check that a model can use it.

    Args:
        record: record of any dataset, built-in or third-party.
        min_points: minimum of the encoder, checked before resampling could hide a cloud with too few points.
        requested_by: name of the component that sets the minimum: ``"encoder pointnext"``.

    Raises:
        RecordError: the source is unreadable, the array is not a cloud (see `spa3d.data.cloud_checks.check`), it has
            too few points, or all points coincide; the message names the record.

    """
    try:
        cloud = record.cloud()
        check(cloud, source="", record_id=record.id)
        require_points(cloud, min_points, record_id=record.id, requested_by=requested_by)
    except DataError as error:
        raise RecordError(str(error)) from error
    with error_context(record.id):
        normalize_cloud(cloud[:, :3])
    return cloud


@dataclass(frozen=True)
class Preparation:
    """Preparation of all clouds of a model.

    Attributes:
        count: number of points after resampling; 0 keeps all.
        method: method of reducing a larger cloud.
        normalize: whether to move and scale a cloud into the unit sphere.
        missing_color: all three channels of a cloud without color: 0 (PointLLM) or 0.4 (ULIP-2).

    """

    count: int = 0
    method: Method = "fps"
    normalize: bool = True
    missing_color: float = 0.0


def prepare(
    cloud: CloudArray, preparation: Preparation = Preparation(), *, key: Key, has_color: bool | None = True
) -> Float32[np.ndarray, "N 6"]:
    """Prepare a cloud for models: resampled, normalized, with a color for every point.

    float64 coordinates are normalized before they are rounded to float32, so their distance from the origin costs no
    precision.

    Args:
        cloud: xyz in any unit and rgb in [0, 1], as from `load_valid_cloud`.
        preparation: how to resample, normalize and color.
        key: key of the random numbers, different for every cloud.
        has_color: whether the cloud has real colors; None: it has unless its rgb is all 0.

    Returns:
        A new array, ``(preparation.count or N, 6)`` float32.

    Raises:
        DataError: all points coincide, so the cloud cannot be scaled; or float64 coordinates are to stay where they
            are, and float32 is too coarse for them.

    """
    cloud = _as_float32(cloud, normalize=preparation.normalize)
    draws = Draws([("resample", *key)])
    ready = resample(cloud, preparation.count, preparation.method, draws) if preparation.count else cloud.copy()
    if preparation.normalize:
        ready[:, :3] = normalize_cloud(ready[:, :3])
    if not is_colored(ready, has_color):
        ready[:, 3:] = preparation.missing_color
    return ready


def _as_float32(cloud: CloudArray, *, normalize: bool) -> Float32[np.ndarray, "N 6"]:
    """Round a float64 cloud to float32, normalized first if it may move."""
    if cloud.dtype == np.float32:
        return cloud
    xyz = cloud[:, :3]
    if not normalize:
        reject_coarse(xyz, np.dtype(np.float32), "with --points.normalize false")
    rounded = cloud.astype(np.float32)
    rounded[:, :3] = normalize_cloud(xyz) if normalize else xyz
    return rounded


def resample(cloud: CloudArray, count: int, method: Method, draws: Draws) -> CloudArray:
    """Resample the cloud to `count` points, in a new array.

    A larger cloud is reduced by farthest point sampling that starts at its first point, or to a random subset in the
    original order. A smaller cloud keeps all its points; random repeats follow at the end.
    """
    number = len(cloud)
    if count == number:
        return cloud.copy()
    if count > number:
        repeats = draws.integers(number, count - number)[0].numpy()
        return np.concatenate([cloud, cloud[repeats]])
    if method == "random":
        return cloud[np.sort(draws.permutation(number)[0, :count].numpy())]
    xyz = torch.from_numpy(np.ascontiguousarray(cloud[None, :, :3]))
    return cloud[ops.farthest_point_sample(xyz, count)[0].numpy()]


def normalize_cloud(xyz: Float[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
    """Normalize to mean 0 and largest distance 1 from it (PointLLM's ``pc_norm``), in float64."""
    centered = xyz - xyz.mean(axis=0, dtype=np.float64)
    radius = cloud_radius(centered)
    if not radius > float(np.finfo(np.float32).tiny):
        there = (
            "the cloud has one point" if len(xyz) == 1 else f"the {len(xyz)} points of the cloud all lie in one place"
        )
        raise DataError(f"{there}; a cloud needs at least two different points.")
    return (centered / radius).astype(np.float32)


def encoder_inputs(
    points: Float[Tensor, "B N 6"], inputs: Sequence[Channel], up_axis: Axis = "y"
) -> Float[Tensor, "B N C"]:
    """Select the input channels of an encoder, in the order of `inputs`.

    Args:
        points: prepared clouds, with or without noise, xyz then rgb.
        inputs: ``xyz`` and ``rgb`` are three channels each, ``height`` is one: the coordinate along `up_axis` above
            the lowest point of the same cloud (PointNeXt).
        up_axis: vertical axis of the dataset.

    """
    up = points[..., "xyz".index(up_axis), None]
    parts = {"xyz": points[..., :3], "rgb": points[..., 3:6], "height": up - up.amin(dim=1, keepdim=True)}
    return torch.cat([parts[name] for name in inputs], dim=-1)
