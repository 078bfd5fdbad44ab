"""Adapting a cloud to an encoder, in one place.

A cloud ``(N, 6)``, xyz and rgb, is checked (`load_valid_cloud`), resampled, normalized and given a color once, on the
way out of the dataset (`prepare`). Noise acts on what comes out of that. `encoder_inputs` then picks the channels the
encoder asks for; height is measured after the noise, and nothing is normalized again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from spa3d import ops
from spa3d.contracts.dataset import Cloud, Record
from spa3d.contracts.encoder import Channel
from spa3d.data.cloud_checks import check, require_points
from spa3d.errors import DataError, error_context
from spa3d.runtime.rng import Draws, Key

Axis = Literal["x", "y", "z"]
Method = Literal["fps", "random"]


def load_valid_cloud(record: Record, *, min_points: int = 1, requested_by: str = "") -> Cloud:
    """The cloud of `record` as its source has it, once it is certain that a model can be shown it.

    Args:
        record: of any dataset, built-in or a stranger's.
        min_points: what the encoder needs; resampling to more would hide that there are too few.
        requested_by: who needs so many, as the message should call it: ``"encoder pointnext"``.

    Raises:
        DataError: naming the record: its source cannot be read, it is no cloud (see
            `spa3d.data.cloud_checks.check`), it has too few points, or they coincide.

    """
    cloud = record.cloud()
    check(cloud, source="", record_id=record.id)
    require_points(cloud, min_points, record_id=record.id, requested_by=requested_by)
    with error_context(record.id):
        normalized(cloud[:, :3])
    return cloud


def prepare(
    cloud: Cloud,
    *,
    key: Key,
    count: int = 0,
    method: Method = "fps",
    normalize: bool = True,
    missing_color: float = 0.0,
    has_color: bool = True,
) -> Cloud:
    """A cloud as every model sees it: resampled, normalized, with a color in every point.

    Args:
        cloud: xyz in any unit and rgb in [0, 1], as `load_valid_cloud` gives it.
        key: names the cloud; decides what is random.
        count: points wanted; 0 keeps all.
        method: how a larger cloud is reduced.
        normalize: whether to move and scale it into the unit sphere.
        missing_color: all three channels of a cloud without color: 0 (PointLLM) or 0.4 (ULIP-2).
        has_color: whether the colors mean something.

    Returns:
        A new array, ``(count or N, 6)`` float32.

    Raises:
        DataError: the points coincide, so that there is nothing to scale.

    """
    ready = resample(cloud, count, method, Draws([("resample", *key)])) if count else cloud.copy()
    if normalize:
        ready[:, :3] = normalized(ready[:, :3])
    if not has_color:
        ready[:, 3:] = missing_color
    return ready


def resample(cloud: Cloud, count: int, method: Method, draws: Draws) -> Cloud:
    """`count` points of the cloud, in a new array.

    A larger cloud is reduced by farthest point sampling from its first point on, or to a random subset in its own
    order; a smaller one keeps all its points, and random ones of them are repeated at the end.
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


def normalized(xyz: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
    """Coordinates minus their mean, divided by the largest distance to it (PointLLM's ``pc_norm``)."""
    centered = xyz - xyz.mean(axis=0, dtype=np.float64)
    radius = np.sqrt(np.square(centered).sum(axis=1).max())
    if not radius > np.finfo(np.float32).tiny:
        raise DataError(f"the {len(xyz)} points of the cloud all lie in one place: there is no shape to look at.")
    return (centered / radius).astype(np.float32)


def encoder_inputs(
    points: Float[Tensor, "B N 6"], inputs: Sequence[Channel], up_axis: Axis = "y"
) -> Float[Tensor, "B N C"]:
    """The channels an encoder asks for, in its order.

    Args:
        points: prepared (and perhaps noised) clouds, xyz then rgb.
        inputs: ``xyz`` and ``rgb`` give three channels each, ``height`` one: the coordinate along `up_axis` above
            the lowest point of the same cloud (PointNeXt).
        up_axis: which axis points up; it is the dataset's.

    """
    up = points[..., "xyz".index(up_axis), None]
    parts = {"xyz": points[..., :3], "rgb": points[..., 3:6], "height": up - up.amin(dim=1, keepdim=True)}
    return torch.cat([parts[name] for name in inputs], dim=-1)
