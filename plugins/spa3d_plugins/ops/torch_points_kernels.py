"""torch-points-kernels' k-d tree (nanoflann) as a point operation backend for the CPU.

The library's own results leave ties, the order of a ball's members and its first point open; what it finds is
therefore measured again with the reference's distances and sorted. Its tree also rounds: where the choice of
neighbors hangs on a difference that rounding could have made, the reference answers.
https://github.com/nicolas-chaulet/torch-points-kernels
"""

from __future__ import annotations

import numpy as np
import torch
import torch_points_kernels
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spa3d_plugins.ops.torch import TorchOps

SLACK = 2.0**-15
"""Relative error allowed to a squared distance: some fifty sums, each rounded once, from the root to a leaf."""
PAIRS = 1 << 22
"""Ball members held at once, should all points be inside: 32 MiB of indices."""
NOBODY = 1 << 32
"""An index beyond every point."""


class TorchPointsKernels(TorchOps):
    """kNN and ball query through the library's tree, exact; farthest point sampling by the reference.

    The library's FPS starts at a random point of torch's global generator, compares square roots, which makes ties of
    different distances, and is three times slower than the reference. Its CUDA build knows no kNN: CPU only.
    """

    devices = ("cpu",)

    def knn(self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], k: int) -> Int[Tensor, "B Q k"]:
        """The tree's k nearest, sorted again; queries whose k-th place is not certain go to the reference."""
        asked = min(k + 1, xyz.shape[1])  # the next one shows whether the k-th is clearly among the k
        found, _ = torch_points_kernels.knn(xyz, query, asked)
        doubtful = (found < 0).any(dim=2)  # a place left empty: an infinite distance
        distance, found = _sorted(query, xyz, found.clamp_(min=0))
        if asked > k:
            doubtful |= ~(distance[..., k - 1] < distance[..., k] * (1 - SLACK))
        for cloud in doubtful.any(dim=1).nonzero().flatten().tolist():
            rows = doubtful[cloud]
            found[cloud, rows, :k] = super().knn(query[cloud, rows][None], xyz[cloud, None], k)[0]
        return found[..., :k].contiguous()

    def ball_query(
        self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], radius: float, nsample: int, *, closed: bool
    ) -> Int[Tensor, "B Q nsample"]:
        """All the tree finds in a slightly larger ball, measured again, in index order, as far as it is wanted."""
        limit = float(np.square(np.float32(radius)))
        if not 1e-30 < limit < 1e30:  # squares lose their precision there
            return super().ball_query(query, xyz, radius, nsample, closed=closed)
        found = query.new_zeros(*query.shape[:2], nsample, dtype=torch.int64)
        rows = max(1, PAIRS // xyz.shape[1])
        for cloud in range(len(query)):
            source = xyz[cloud, None]
            for first in range(0, query.shape[1], rows):
                some = query[cloud, None, first : first + rows]
                member, inside = _ball(some, source, radius, limit, closed)
                found[cloud, first : first + rows] = _first(member, inside, nsample)
        return found


def _ball(
    query: Float[Tensor, "1 Q 3"], xyz: Float[Tensor, "1 N 3"], radius: float, limit: float, closed: bool
) -> tuple[Int[Tensor, "Q M"], Bool[Tensor, "Q M"]]:
    """Every point near each ball, and whether it is inside. M is the most that one ball has."""
    wide = radius * (1 + SLACK)
    near, apart = torch_points_kernels.ball_query(wide, -1, xyz, query, mode="dense", sort=True)
    distance = _distance(query, xyz, near)
    inside = distance <= limit if closed else distance < limit
    return near[0], (inside & (apart >= 0))[0]  # the library marks its filling with a distance of -1


def _first(member: Int[Tensor, "Q M"], inside: Bool[Tensor, "Q M"], nsample: int) -> Int[Tensor, "Q nsample"]:
    """The lowest `nsample` indices inside, filled up with the lowest, or with 0 where there is none."""
    member = torch.where(inside, member, NOBODY)
    lowest = member.topk(min(nsample, member.shape[1]), dim=1, largest=False).values
    lowest = torch.nn.functional.pad(lowest, (0, nsample - lowest.shape[1]), value=NOBODY)
    lowest = torch.where(lowest == NOBODY, lowest[:, :1], lowest)
    return lowest.masked_fill_(lowest == NOBODY, 0)


def _distance(
    query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], index: Int[Tensor, "B Q k"]
) -> Float[Tensor, "B Q k"]:
    """Squared distances to the points at `index`, rounded as the reference rounds them."""
    flat = index.flatten(start_dim=1)
    x, y, z = (
        xyz[..., axis].gather(1, flat).view(index.shape).sub_(query[..., axis, None]).square_() for axis in range(3)
    )
    return x.add_(y).add_(z)


def _sorted(
    query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], index: Int[Tensor, "B Q k"]
) -> tuple[Float[Tensor, "B Q k"], Int[Tensor, "B Q k"]]:
    """Distances and indices by (distance, index), both packed into one integer: a float ≥ 0 orders like its bits."""
    bits = _distance(query, xyz, index).view(torch.int32).to(torch.int64)
    key = bits.bitwise_left_shift_(32).bitwise_or_(index).sort(dim=2).values
    distance = key.bitwise_right_shift(32).to(torch.int32).view(torch.float32)
    return distance, key.bitwise_and_((1 << 32) - 1)
