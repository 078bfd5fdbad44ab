"""Point operations: definitions, checks of the inputs, dispatch to a backend.

Indices are int64. Distances are squared, float32, the sum of squared coordinate differences; other float types
are cast. Equal distances go to the lowest index. Results are the same for every backend, device and batch split.

Clouds of different sizes share a tensor with ``lengths (B,)``. Rows behind a cloud's length are padding, which may have
any value and is never read.

Tensors stay on their device. The first backend of the innermost ``with use(…)`` that supports the device is used.
Outside of such a block, and in threads that did not inherit it, the fastest shipped backend is used
(`spa3d.ops.selection`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from spa3d.ops.dispatch import backend_for
from spa3d.runtime.rng import Draws

ORIGIN = 1e-3
"""Squared distance from the origin up to which ``compat="pointnet2"`` never chooses a point (pointnet2_ops)."""
CLOSE = 1e-8
"""Added to squared distances before they are inverted, as in PointNet++."""


def farthest_point_sample(
    xyz: Float[Tensor, "B N 3"],
    count: int,
    *,
    start: int | Draws | Int[Tensor, " B"] = 0,
    compat: Literal["pointnet2"] | None = None,
    lengths: Int[Tensor, " B"] | None = None,
) -> Int[Tensor, "B count"]:
    """Indices of `count` points, each the farthest from those before it.

    Args:
        xyz: coordinates.
        count: number of chosen points, at least 1; without distinct points left, the lowest index is repeated.
        start: index of the first point in every cloud or in each, or draws that choose it per cloud.
        compat: ``"pointnet2"`` never chooses points with |x|² ≤ 1e-3 (index `start` is still the first), as the
            CUDA operator behind the published ULIP encoders does; where no other point is left, `start` is repeated.
        lengths: number of valid points of each cloud; None: all.

    Raises:
        ValueError: shape or dtype is wrong, `count`, `start` or `lengths` is out of range, or a coordinate is not
            finite.

    """
    xyz = _coordinates("xyz", xyz)
    if count < 1:
        raise ValueError(f"farthest_point_sample: count must be at least 1, not {count}")
    first = _first_index(xyz, start, lengths)
    if compat is None:
        return cast("Tensor", torch.ops.spa3d.farthest_point_sample(xyz, count, first, lengths))
    x, y, z = xyz.square().unbind(dim=-1)
    central = x + y + z <= ORIGIN
    if lengths is not None:
        central |= torch.arange(xyz.shape[1], device=xyz.device) >= lengths[:, None]
    # Points moved onto the first one are at distance 0 from the start, so that no backend takes them
    # before all others are used up; what is taken after that is put right below.
    moved = torch.where(central[..., None], xyz.gather(1, first[:, None, None].expand(-1, 1, 3)), xyz)
    index = cast("Tensor", torch.ops.spa3d.farthest_point_sample(moved, count, first, lengths))
    spare = torch.where(central.all(dim=1), first, central.int().argmin(dim=1))
    wrong = central.gather(1, index) & (torch.arange(count, device=xyz.device) > 0)
    return torch.where(wrong, spare[:, None], index)


def knn(
    query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], k: int, *, lengths: Int[Tensor, " B"] | None = None
) -> Int[Tensor, "B Q k"]:
    """The `k` points of `xyz` nearest to each query, sorted by (distance, index).

    Args:
        query: query points.
        xyz: searched points.
        k: from 1 to the number of points, of the smallest cloud where `lengths` differ.
        lengths: number of valid points of each cloud of `xyz`; None: all.

    Raises:
        ValueError: shape or dtype is wrong, `k` or `lengths` is out of range, or a coordinate is not finite.

    """
    query, xyz = _coordinates("query", query), _coordinates("xyz", xyz)
    _same_batch(query, xyz)
    if not 1 <= k <= xyz.shape[1]:
        raise ValueError(f"knn: k must be between 1 and the number of points, {xyz.shape[1]}; it is {k}")
    return cast("Tensor", torch.ops.spa3d.knn(query, xyz, k, lengths))


def three_nn(
    query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"]
) -> tuple[Float[Tensor, "B Q 3"], Int[Tensor, "B Q 3"]]:
    """Squared distances and indices of the three nearest points, by (distance, index).

    In a cloud of fewer points the missing entries have an infinite distance and index 0. The distances are
    differentiable in both sets of coordinates.

    Raises:
        ValueError: shape or dtype is wrong, or a coordinate is not finite.

    """
    index = knn(query, xyz, min(3, xyz.shape[1]))
    distance = (query[:, :, None] - group(xyz, index)).float().square().sum(dim=-1)
    empty = (0, 3 - index.shape[2])
    return F.pad(distance, empty, value=torch.inf), F.pad(index, empty)


def interpolate(
    features: Float[Tensor, "B N C"], query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"]
) -> Float[Tensor, "B Q C"]:
    """Features at `query`: mean of the 3 nearest points, weighted by inverse squared distance.

    Source: PointNet++, eq. 2.

    Differentiable in the features and in the coordinates.

    Raises:
        ValueError: as `three_nn`, or there are not as many features as points.

    """
    if features.shape[:2] != xyz.shape[:2]:
        raise ValueError(f"features {tuple(features.shape)} and xyz {tuple(xyz.shape)} must hold as many points")
    distance, index = three_nn(query, xyz)
    weight = 1 / (distance + CLOSE)
    weight = (weight / weight.sum(dim=-1, keepdim=True)).to(features.dtype)
    return (weight[..., None] * group(features, index)).sum(dim=2)


def ball_query(
    query: Float[Tensor, "B Q 3"],
    xyz: Float[Tensor, "B N 3"],
    radius: float,
    nsample: int,
    *,
    closed: bool,
    lengths: Int[Tensor, " B"] | None = None,
) -> Int[Tensor, "B Q nsample"]:
    """The first `nsample` points of `xyz`, in index order, within `radius` of each query.

    A ball with fewer members is filled up with its first one, an empty ball with 0.

    Args:
        query: centers of the balls.
        xyz: searched points.
        radius: compared as float32, squared in float32.
        nsample: indices per ball, at least 1.
        closed: whether a point exactly on the sphere is inside (≤) or not (<).
        lengths: number of valid points of each cloud of `xyz`; None: all.

    Raises:
        ValueError: shape or dtype is wrong, `radius`, `nsample` or `lengths` is out of range, or a coordinate is not
            finite.

    """
    query, xyz = _coordinates("query", query), _coordinates("xyz", xyz)
    _same_batch(query, xyz)
    if nsample < 1 or not 0 < radius < float("inf"):
        raise ValueError(f"ball_query: radius and nsample must be positive; they are {radius} and {nsample}")
    return cast("Tensor", torch.ops.spa3d.ball_query(query, xyz, radius, nsample, closed, lengths))


def group(features: Float[Tensor, "B N C"], index: Int[Tensor, "B ..."]) -> Float[Tensor, "B ... C"]:
    """Rows of `features` by index: ``(B, N, C)`` and ``(B, …)`` to ``(B, …, C)``.

    Differentiable in the features.

    The indices are not checked: one outside its cloud may give a row of another cloud.
    """
    batch, points, width = features.shape
    offset = torch.arange(batch, device=index.device).mul_(points).view(-1, *[1] * (index.dim() - 1))
    return features.reshape(-1, width).index_select(0, (index + offset).flatten()).view(*index.shape, width)


def _coordinates(name: str, xyz: Tensor) -> Tensor:
    """Return `xyz` as contiguous float32; raises `ValueError` for a wrong shape, dtype or value."""
    if xyz.dim() != 3 or xyz.shape[-1] != 3 or 0 in xyz.shape:
        raise ValueError(f"{name} must be (clouds, points, 3) and not empty; it is {tuple(xyz.shape)}")
    if not xyz.is_floating_point():
        raise ValueError(f"{name} must be floating point coordinates; it is {xyz.dtype}")
    return xyz.detach().to(torch.float32).contiguous()


def _same_batch(query: Tensor, xyz: Tensor) -> None:
    if len(query) != len(xyz):
        raise ValueError(f"query and xyz must hold as many clouds; they hold {len(query)} and {len(xyz)}")


def _first_index(xyz: Tensor, start: int | Draws | Tensor, lengths: Tensor | None) -> Tensor:
    """Index of the first point per cloud."""
    clouds, points = xyz.shape[:2]
    if isinstance(start, Tensor):
        return start.to(xyz.device, torch.int64).expand(clouds)
    if isinstance(start, Draws):
        if lengths is not None:
            return (start.uniform().to(xyz.device) * lengths).long()
        return start.integers(points).to(xyz.device)
    if not 0 <= start < points:
        raise ValueError(f"farthest_point_sample: start must be between 0 and {points - 1}; it is {start}")
    return torch.full((clouds,), start, dtype=torch.int64, device=xyz.device)


def _split_clouds(lengths: Tensor | None, xyz: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield the whole batch, or each cloud cut to its length.

    It reads values, so `lengths` cannot be a meta tensor.
    """
    if lengths is None:
        parts = [(xyz, *others)]
    else:
        sizes = lengths.tolist()
        if len(sizes) != len(xyz) or min(sizes) < 1 or max(sizes) > xyz.shape[1]:
            raise ValueError(f"lengths must be {len(xyz)} numbers from 1 to {xyz.shape[1]}; they are {sizes}")
        parts = [
            (xyz[i : i + 1, :size].contiguous(), *(other[i : i + 1] for other in others))
            for i, size in enumerate(sizes)
        ]
    for part in parts:
        for values in part:
            if values.is_floating_point() and not torch.isfinite(torch.stack(values.aminmax())).all():
                raise ValueError("coordinates must be finite; there is a NaN or an infinity among them")
        yield part


def _fps(xyz: Tensor, count: int, start: Tensor, lengths: Tensor | None) -> Tensor:
    backend, indices = backend_for(xyz.device), []
    for cloud, first in _split_clouds(lengths, xyz, start):
        last = cloud.shape[1] - 1
        if not bool(((first >= 0) & (first <= last)).all()):
            raise ValueError(f"farthest_point_sample: start must be between 0 and {last}; it is {first.tolist()}")
        indices.append(backend.fps(cloud, count, first))
    return _join(indices)


def _knn(query: Tensor, xyz: Tensor, k: int, lengths: Tensor | None) -> Tensor:
    backend, indices = backend_for(xyz.device), []
    for cloud, some in _split_clouds(lengths, xyz, query):
        if k > cloud.shape[1]:
            raise ValueError(f"knn: k must be between 1 and the number of points, {cloud.shape[1]}; it is {k}")
        indices.append(backend.knn(some, cloud, k))
    return _join(indices)


def _ball_query(
    query: Tensor, xyz: Tensor, radius: float, nsample: int, closed: bool, lengths: Tensor | None
) -> Tensor:
    search = backend_for(xyz.device).ball_query
    return _join(
        [search(some, cloud, radius, nsample, closed=closed) for cloud, some in _split_clouds(lengths, xyz, query)]
    )


def _join(indices: list[Tensor]) -> Tensor:
    """Join the results of all clouds in one contiguous tensor; a single result is not copied."""
    return indices[0].contiguous() if len(indices) == 1 else torch.cat(indices)


def _define(schema: str, run: Callable[..., Tensor], fake: Callable[..., Tensor]) -> None:
    """Register `run` as a torch operator for compilers; `fake` returns an empty result."""
    name = "spa3d::" + schema.partition("(")[0]
    torch.library.define(name, schema.removeprefix(schema.partition("(")[0]))
    torch.library.impl(name, "default", run)
    torch.library.register_fake(name, fake)


# torch.library.custom_op would do the same, at the price of importing torch's compiler (1.4 s) at the first call.
_define(
    "farthest_point_sample(Tensor xyz, int count, Tensor start, Tensor? lengths) -> Tensor",
    _fps,
    lambda xyz, count, start, lengths: start.new_empty(len(xyz), count),
)
_define(
    "knn(Tensor query, Tensor xyz, int k, Tensor? lengths) -> Tensor",
    _knn,
    lambda query, xyz, k, lengths: query.new_empty(*query.shape[:2], k, dtype=torch.int64),
)
_define(
    "ball_query(Tensor query, Tensor xyz, float radius, int nsample, bool closed, Tensor? lengths) -> Tensor",
    _ball_query,
    lambda query, xyz, radius, nsample, closed, lengths: query.new_empty(*query.shape[:2], nsample, dtype=torch.int64),
)
