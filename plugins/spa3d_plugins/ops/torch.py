"""Point operations in plain PyTorch, on any device; the reference of the other backends."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spa3d.contracts.ops import Ops

PAIRS = 1 << 17
"""Distances per block: 512 KiB of float32, which fit into a CPU core's cache."""
PAIRS_GPU = 1 << 26
"""Distances per block on an accelerator, where few large kernels are faster: 256 MiB."""


class TorchOps(Ops):
    """Exact dense search; distances in float32 as the sum of squared differences.

    Coordinates are stored as three planes (structure of arrays) and every step works in place. On a CPU this is four
    times faster than the usual loop over ``(B, N, 3)``.
    """

    def fps(self, xyz: Float[Tensor, "B N 3"], count: int, start: Int[Tensor, " B"]) -> Int[Tensor, "B count"]:
        """Choose the point farthest from the chosen set in each step: O(count · N) per cloud."""
        planes = tuple(plane.contiguous() for plane in xyz.unbind(dim=-1))
        nearest = torch.full_like(planes[0], torch.inf)
        distance, scratch, largest = (
            torch.empty_like(nearest),
            torch.empty_like(nearest),
            nearest.new_empty(len(xyz), 1),
        )
        chosen = start.new_empty(count, len(xyz), 1)
        chosen[0] = start[:, None]
        for step in range(1, count):
            latest = chosen[step - 1]
            center = tuple(plane.gather(1, latest) for plane in planes)
            torch.minimum(nearest, _square_distances(planes, center, distance, scratch), out=nearest)
            torch.max(nearest, dim=1, keepdim=True, out=(largest, chosen[step]))
        return chosen.squeeze(2).T.contiguous()

    def knn(self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], k: int) -> Int[Tensor, "B Q k"]:
        """Select the k smallest by (distance, index), packed into one integer.

        Floats ≥ 0 have the same order as the integers of the same bits.
        """
        order = torch.arange(xyz.shape[1], device=xyz.device)
        neighbors = query.new_empty(*query.shape[:2], k, dtype=torch.int64)
        for block, distance in _blocks(query, xyz):
            key = distance.view(torch.int32).to(torch.int64).bitwise_left_shift_(32).bitwise_or_(order)
            neighbors[block] = key.topk(k, dim=1, largest=False).values.bitwise_and_((1 << 32) - 1)
        return neighbors

    def ball_query(
        self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], radius: float, nsample: int, *, closed: bool
    ) -> Int[Tensor, "B Q nsample"]:
        """Find the s-th member of each ball, where the running count of members first reaches s."""
        limit = float(np.square(np.float32(radius)))
        rank = torch.arange(1, nsample + 1, dtype=query.dtype, device=query.device)
        members = query.new_empty(*query.shape[:2], nsample, dtype=torch.int64)
        for block, distance in _blocks(query, xyz):
            inside = distance.le_(limit) if closed else distance.lt_(limit)
            count = inside.cumsum(dim=1)
            member = torch.searchsorted(count, rank.expand(len(count), -1).contiguous())
            members[block] = torch.where(rank <= count[:, -1:], member, member[:, :1] * (count[:, -1:] > 0))
        return members


def _square_distances(planes: tuple[Tensor, ...], center: tuple[Tensor, ...], out: Tensor, scratch: Tensor) -> Tensor:
    """Write (x − x₀)² + (y − y₀)² + (z − z₀)² to `out`, in this order, without fused operations."""
    torch.sub(planes[0], center[0], out=out).mul_(out)
    for plane, value in zip(planes[1:], center[1:], strict=True):
        out.add_(torch.sub(plane, value, out=scratch).mul_(scratch))
    return out


def _blocks(query: Tensor, xyz: Tensor) -> Iterator[tuple[tuple[int, slice], Tensor]]:
    """Yield blocks of squared distances ``(rows, N)``, each with its index (cloud, queries).

    All blocks share one buffer; the caller may overwrite it.
    """
    clouds, queries, points = *query.shape[:2], xyz.shape[1]
    rows = max(1, (PAIRS if xyz.device.type == "cpu" else PAIRS_GPU) // points)
    distance, scratch = xyz.new_empty(2, min(rows, queries), points)
    planes = xyz.mT.contiguous()
    for cloud in range(clouds):
        source = tuple(planes[cloud, :, None])
        for first in range(0, queries, rows):
            some = query[cloud, first : first + rows]
            size = len(some)
            yield (
                (cloud, slice(first, first + size)),
                _square_distances(source, some.split(1, dim=1), distance[:size], scratch[:size]),
            )
