"""Farthest point sampling with torch-quickfps (bucket-based), CPU only.

The library breaks ties in the order of its buckets, and equal distances are common (duplicates, lattices, chance). So
each result is checked; where a tie is not broken by the lowest index, the reference is used instead.
https://github.com/Astro-85/torch_quickfps; Han et al., QuickFPS, IEEE TCAD 2023.
"""

from __future__ import annotations

import torch
import torch_quickfps
from jaxtyping import Float, Int
from torch import Tensor

from spa3d_plugins.ops.torch import TorchOps

STEPS = 64
"""Maximum number of steps checked together: 2 MiB of distances for 8192 points, a CPU core's cache."""


class QuickFPS(TorchOps):
    """Farthest point sampling by the library, checked; kNN and ball query as in the reference.

    CPU only: the library's CUDA builds are separate packages, which are untested here.
    """

    devices = ("cpu",)

    def fps(self, xyz: Float[Tensor, "B N 3"], count: int, start: Int[Tensor, " B"]) -> Int[Tensor, "B count"]:
        """Sample with the library, one call per start; clouds that fail the check, by the reference."""
        if count > xyz.shape[1]:  # rejected by the library
            return super().fps(xyz, count, start)
        chosen = start.new_empty(len(xyz), count)
        for first in start.unique().tolist():
            chosen[start == first] = torch_quickfps.sample_idx(xyz[start == first], count, start_idx=first)
        wrong = [cloud for cloud in range(len(xyz)) if not _is_exact(xyz[cloud], chosen[cloud])]
        if wrong:
            chosen[wrong] = super().fps(xyz[wrong], count, start[wrong])
        return chosen


def _is_exact(xyz: Float[Tensor, "N 3"], chosen: Int[Tensor, " M"]) -> bool:
    """Whether `chosen` equals exact farthest point sampling from its first point.

    In each step, no other point may be farther from the points chosen before, and no point with a lower index may be
    equally far. Points nearer than the last chosen point cannot be chosen and are dropped, so this needs about half
    the distances of a search. Only the few points that could be chosen are compared step by step.
    """
    centers, planes, position = xyz[chosen], xyz.T.contiguous(), torch.arange(len(xyz), device=xyz.device)
    radius = _radii(centers)
    room = xyz.new_empty(2, STEPS * len(xyz))
    nearest = _distances(planes, centers[:1], room)[0].clone()
    step = 1
    while step < len(chosen):
        last = min(len(chosen), step + min(STEPS, max(8, step // 2)))
        kept = (nearest >= radius[step:].min()).nonzero().flatten()
        position, nearest, planes = position[kept], nearest[kept], planes.index_select(1, kept)
        distances = _distances(planes, centers[step:last], room)
        hot = (nearest >= radius[step:last].min()).nonzero().flatten()
        before = torch.cat([nearest[None, hot], distances[:-1, hot]]).cummin(dim=0).values
        late, rival = (before >= radius[step:last, None]).nonzero().unbind(dim=1)
        farther = before[late, rival] > radius[late + step]
        if (farther | (position[hot[rival]] < chosen[late + step])).any():
            return False
        nearest = torch.minimum(nearest, distances.amin(dim=0))
        step = last
    return True


def _radii(centers: Float[Tensor, "M 3"]) -> Float[Tensor, " M"]:
    """Squared distance of each chosen point from those chosen before it; infinite for the first."""
    planes, radius = centers.T.contiguous(), []
    room = centers.new_empty(2, STEPS * len(centers))
    for first in range(0, len(centers), STEPS):
        last = min(len(centers), first + STEPS)
        distances = _distances(planes[:, first:last], centers[:last], room)
        later = torch.ones(last - first, last - first, dtype=torch.bool, device=centers.device).tril()
        distances[first:].masked_fill_(later, torch.inf)
        radius.append(distances.amin(dim=0))
    return torch.cat(radius)


def _distances(planes: Float[Tensor, "3 N"], centers: Float[Tensor, "M 3"], room: Float[Tensor, "2 _"]) -> Tensor:
    """Squared distances ``(M, N)``, rounded as in the reference, in `room` until the next call."""
    size = len(centers), planes.shape[1]
    total, apart = room[:, : size[0] * size[1]].view(2, *size)
    torch.sub(planes[0], centers[:, :1], out=total).square_()
    for axis in (1, 2):
        total.add_(torch.sub(planes[axis], centers[:, axis, None], out=apart).square_())
    return total
