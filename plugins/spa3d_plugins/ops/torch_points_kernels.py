"""Point operations on the k-d tree of torch-points-kernels (nanoflann), CPU only.

The library does not define the order of ties, the order of a ball's members, or its first point. So distances of its
results are computed again as in the reference, and the results are sorted. The tree also rounds: where rounding could
change the choice of neighbors, the reference is used instead.
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
"""Maximum relative error of a squared distance: about fifty rounded sums from the root to a leaf."""
PAIRS = 1 << 22
"""Maximum number of ball members per block, if all points are inside: 32 MiB of indices."""
NO_POINT = 1 << 32
"""Index larger than that of any point."""


class TorchPointsKernels(TorchOps):
    """Exact kNN and ball query with the library's tree; FPS as in the reference.

    The library's FPS starts at a random point of torch's global generator. It compares square roots, so that different
    distances can tie, and it is three times slower than the reference. Its CUDA build has no kNN: CPU only.
    """

    devices = ("cpu",)

    def knn(self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], k: int) -> Int[Tensor, "B Q k"]:
        """Find k neighbors with the tree and sort them; uncertain queries go to the reference.

        A query is uncertain if the distances of neighbors k and k + 1 differ by rounding only.
        """
        count = min(k + 1, xyz.shape[1])
        indices, _ = torch_points_kernels.knn(xyz, query, count)
        doubtful = (indices < 0).any(dim=2)  # no index: an infinite distance
        distance, indices = _sort_by_distance(query, xyz, indices.clamp_(min=0))
        if count > k:
            doubtful |= ~(distance[..., k - 1] < distance[..., k] * (1 - SLACK))
        for cloud in doubtful.any(dim=1).nonzero().flatten().tolist():
            rows = doubtful[cloud]
            indices[cloud, rows, :k] = super().knn(query[cloud, rows][None], xyz[cloud, None], k)[0]
        return indices[..., :k].contiguous()

    def ball_query(
        self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], radius: float, nsample: int, *, closed: bool
    ) -> Int[Tensor, "B Q nsample"]:
        """Search a slightly larger ball, check distances, keep the lowest `nsample` indices."""
        limit = float(np.square(np.float32(radius)))
        if not 1e-30 < limit < 1e30:  # squares are imprecise outside this range
            return super().ball_query(query, xyz, radius, nsample, closed=closed)
        indices = query.new_zeros(*query.shape[:2], nsample, dtype=torch.int64)
        rows = max(1, PAIRS // xyz.shape[1])
        for cloud in range(len(query)):
            source = xyz[cloud, None]
            for first in range(0, query.shape[1], rows):
                block = query[cloud, None, first : first + rows]
                member, inside = _find_members(block, source, radius, limit, closed)
                indices[cloud, first : first + rows] = _select_lowest(member, inside, nsample)
        return indices


def _find_members(
    query: Float[Tensor, "1 Q 3"], xyz: Float[Tensor, "1 N 3"], radius: float, limit: float, closed: bool
) -> tuple[Int[Tensor, "Q M"], Bool[Tensor, "Q M"]]:
    """Return points near each ball, and whether each is inside; M: the most per ball."""
    wide = radius * (1 + SLACK)
    near, apart = torch_points_kernels.ball_query(wide, -1, xyz, query, mode="dense", sort=True)
    distance = _distance(query, xyz, near)
    inside = distance <= limit if closed else distance < limit
    return near[0], (inside & (apart >= 0))[0]  # the library marks padding with a distance of -1


def _select_lowest(member: Int[Tensor, "Q M"], inside: Bool[Tensor, "Q M"], nsample: int) -> Int[Tensor, "Q nsample"]:
    """Return the lowest `nsample` indices inside, padded with the lowest; 0 for an empty ball."""
    member = torch.where(inside, member, NO_POINT)
    lowest = member.topk(min(nsample, member.shape[1]), dim=1, largest=False).values
    lowest = torch.nn.functional.pad(lowest, (0, nsample - lowest.shape[1]), value=NO_POINT)
    lowest = torch.where(lowest == NO_POINT, lowest[:, :1], lowest)
    return lowest.masked_fill_(lowest == NO_POINT, 0)


def _distance(
    query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], index: Int[Tensor, "B Q k"]
) -> Float[Tensor, "B Q k"]:
    """Squared distances to the points at `index`, rounded as in the reference."""
    flat = index.flatten(start_dim=1)
    x, y, z = (
        xyz[..., axis].gather(1, flat).view(index.shape).sub_(query[..., axis, None]).square_() for axis in range(3)
    )
    return x.add_(y).add_(z)


def _sort_by_distance(
    query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], index: Int[Tensor, "B Q k"]
) -> tuple[Float[Tensor, "B Q k"], Int[Tensor, "B Q k"]]:
    """Sort distances and indices by (distance, index), packed into one integer.

    Floats ≥ 0 have the same order as the integers of the same bits.
    """
    bits = _distance(query, xyz, index).view(torch.int32).to(torch.int64)
    key = bits.bitwise_left_shift_(32).bitwise_or_(index).sort(dim=2).values
    distance = key.bitwise_right_shift(32).to(torch.int32).view(torch.float32)
    return distance, key.bitwise_and_((1 << 32) - 1)
