"""Point operations: what they mean is stated here once; a backend only does them quickly.

Indices are int64. Distances are squared, float32, the sum of squared coordinate differences; other float types
are cast. Equal distances go to the lowest index. Results are the same for every backend, device and batch split.

The backend is the one of the innermost ``with use(backend)``, which the assembly opens around a run; outside of
one, and in threads that did not inherit it, the reference backend ``torch`` answers. Both give the same indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from spa3d.contracts.ops import Ops
from spa3d.draws import Draws

ORIGIN = 1e-3
"""Squared distance from the origin up to which ``compat="pointnet2"`` never chooses a point (pointnet2_ops)."""

_chosen: ContextVar[Ops | None] = ContextVar("spa3d.ops.backend", default=None)


@contextmanager
def use(backend: Ops) -> Iterator[None]:
    """Let `backend` do the point operations inside the ``with`` block."""
    token = _chosen.set(backend)
    try:
        yield
    finally:
        _chosen.reset(token)


def farthest_point_sample(
    xyz: Float[Tensor, "B N 3"],
    count: int,
    *,
    start: int | Draws = 0,
    compat: Literal["pointnet2"] | None = None,
) -> Int[Tensor, "B count"]:
    """Indices of `count` points, each the farthest from those before it.

    Args:
        xyz: coordinates.
        count: how many to choose, at least 1; when the distinct points run out the lowest index is repeated.
        start: index of the first point in every cloud, or draws that choose it per cloud.
        compat: ``"pointnet2"`` never chooses points with |x|² ≤ 1e-3 (index `start` is still the first), as the
            CUDA operator behind the published ULIP encoders does; where no other point is left, `start` is repeated.

    Raises:
        ValueError: shape or dtype is wrong, `count` or `start` is out of range, or a coordinate is not finite.

    """
    xyz = _coordinates("xyz", xyz)
    if count < 1:
        raise ValueError(f"farthest_point_sample: count must be at least 1, not {count}")
    first = _first(xyz, start)
    if compat is None:
        return cast("Tensor", torch.ops.spa3d.farthest_point_sample(xyz, count, first))
    central = _squared_norm(xyz) <= ORIGIN
    # Points moved onto the first one are at distance 0 from the start, so that no backend takes them
    # before all others are used up; what is taken after that is put right below.
    moved = torch.where(central[..., None], xyz.gather(1, first[:, None, None].expand(-1, 1, 3)), xyz)
    index = cast("Tensor", torch.ops.spa3d.farthest_point_sample(moved, count, first))
    spare = torch.where(central.all(dim=1), first, central.int().argmin(dim=1))
    wrong = central.gather(1, index) & (torch.arange(count, device=xyz.device) > 0)
    return torch.where(wrong, spare[:, None], index)


def knn(query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], k: int) -> Int[Tensor, "B Q k"]:
    """The `k` points of `xyz` nearest to each query, sorted by (distance, index).

    Raises:
        ValueError: shape or dtype is wrong, `k` is not in 1..N, or a coordinate is not finite.

    """
    query, xyz = _coordinates("query", query), _coordinates("xyz", xyz)
    _same_batch(query, xyz)
    if not 1 <= k <= xyz.shape[1]:
        raise ValueError(f"knn: k must be between 1 and the number of points, {xyz.shape[1]}; it is {k}")
    return cast("Tensor", torch.ops.spa3d.knn(query, xyz, k))


def ball_query(
    query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], radius: float, nsample: int, *, closed: bool
) -> Int[Tensor, "B Q nsample"]:
    """The first `nsample` points of `xyz`, in index order, within `radius` of each query.

    Missing places are filled with the first member, those of an empty ball with 0.

    Args:
        query: centres of the balls.
        xyz: the points searched.
        radius: compared as float32, squared in float32.
        nsample: places per ball, at least 1.
        closed: whether a point exactly on the sphere is inside (≤) or not (<).

    Raises:
        ValueError: shape or dtype is wrong, `radius` or `nsample` is not positive, or a coordinate is not finite.

    """
    query, xyz = _coordinates("query", query), _coordinates("xyz", xyz)
    _same_batch(query, xyz)
    if nsample < 1 or not 0 < radius < float("inf"):
        raise ValueError(f"ball_query: radius and nsample must be positive; they are {radius} and {nsample}")
    return cast("Tensor", torch.ops.spa3d.ball_query(query, xyz, radius, nsample, closed))


def group(features: Float[Tensor, "B N C"], index: Int[Tensor, "B ..."]) -> Float[Tensor, "B ... C"]:
    """Rows of `features` by index, ``(B, N, C)`` and ``(B, …)`` to ``(B, …, C)``; differentiable in the features."""
    batch, points, width = features.shape
    offset = torch.arange(batch, device=index.device).mul_(points).view(-1, *[1] * (index.dim() - 1))
    return features.reshape(-1, width).index_select(0, (index + offset).flatten()).view(*index.shape, width)


def _coordinates(name: str, xyz: Tensor) -> Tensor:
    """`xyz` as contiguous float32, or the one message that says what is wrong with it."""
    if xyz.dim() != 3 or xyz.shape[-1] != 3 or 0 in xyz.shape:
        raise ValueError(f"{name} must be (clouds, points, 3) and not empty; it is {tuple(xyz.shape)}")
    if not xyz.is_floating_point():
        raise ValueError(f"{name} must be floating point coordinates; it is {xyz.dtype}")
    return xyz.detach().to(torch.float32).contiguous()


def _same_batch(query: Tensor, xyz: Tensor) -> None:
    if len(query) != len(xyz):
        raise ValueError(f"query and xyz must hold as many clouds; they hold {len(query)} and {len(xyz)}")


def _first(xyz: Tensor, start: int | Draws) -> Tensor:
    """Index of the first point per cloud."""
    clouds, points = xyz.shape[:2]
    if isinstance(start, Draws):
        return start.integers(points).to(xyz.device)
    if not 0 <= start < points:
        raise ValueError(f"farthest_point_sample: start must be between 0 and {points - 1}; it is {start}")
    return torch.full((clouds,), start, dtype=torch.int64, device=xyz.device)


def _squared_norm(xyz: Tensor) -> Tensor:
    x, y, z = xyz.square().unbind(dim=-1)
    return x + y + z


@cache
def _reference() -> Ops:
    from spa3d.registry import create  # the registry is needed only where nobody chose a backend

    return cast("Ops", create("ops", "torch"))


def _backend(*clouds: Tensor) -> Ops:
    """The backend of this context. Values are looked at here, where they exist: fake and meta tensors have none."""
    for xyz in clouds:
        if not torch.isfinite(torch.stack(xyz.aminmax())).all():  # a NaN is carried into both
            raise ValueError("coordinates must be finite; there is a NaN or an infinity among them")
    return _chosen.get() or _reference()


def _fps(xyz: Tensor, count: int, start: Tensor) -> Tensor:
    return _backend(xyz).fps(xyz, count, start)


def _knn(query: Tensor, xyz: Tensor, k: int) -> Tensor:
    return _backend(query, xyz).knn(query, xyz, k)


def _ball_query(query: Tensor, xyz: Tensor, radius: float, nsample: int, closed: bool) -> Tensor:
    return _backend(query, xyz).ball_query(query, xyz, radius, nsample, closed=closed)


def _define(schema: str, run: Callable[..., Tensor], fake: Callable[..., Tensor]) -> None:
    """Make `run` an operator of torch, opaque to its compiler; `fake` gives the result's shape without values."""
    name = "spa3d::" + schema.partition("(")[0]
    torch.library.define(name, schema.removeprefix(schema.partition("(")[0]))
    torch.library.impl(name, "default", run)
    torch.library.register_fake(name, fake)


# torch.library.custom_op would do the same, at the price of importing torch's compiler (1.4 s) at the first call.
_define(
    "farthest_point_sample(Tensor xyz, int count, Tensor start) -> Tensor",
    _fps,
    lambda xyz, count, start: start.new_empty(len(xyz), count),
)
_define(
    "knn(Tensor query, Tensor xyz, int k) -> Tensor",
    _knn,
    lambda query, xyz, k: query.new_empty(*query.shape[:2], k, dtype=torch.int64),
)
_define(
    "ball_query(Tensor query, Tensor xyz, float radius, int nsample, bool closed) -> Tensor",
    _ball_query,
    lambda query, xyz, radius, nsample, closed: query.new_empty(*query.shape[:2], nsample, dtype=torch.int64),
)
