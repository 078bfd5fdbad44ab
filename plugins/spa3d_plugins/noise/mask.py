"""3D masking: removes whole neighborhoods of a cloud."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from spa3d import ops
from spa3d.contracts.noise import NoiseConfig
from spa3d.runtime.rng import Draws
from spa3d_plugins.noise.removal import Removal


class MaskConfig(NoiseConfig):
    """Strength of the mask, number and size of its patches."""

    level: float = Field(0.25, ge=0, le=1)
    """Share of the points removed, in whole patches; 0 removes none, 1 leaves one patch."""
    patches: int = Field(64, ge=1, le=10**6)
    """Number of patches that cover the cloud (at most one per point)."""
    patch_size: int = Field(0, ge=0, le=10**7)
    """Points per patch; 0: twice the points per patch, 2N / patches, so that neighboring patches overlap."""


class Mask(Removal):
    """Removal of random patches: FPS centers and their neighbors (SPA, section 3.1, figure 5).

    Patches are removed one by one, in random order, until at least the share ``level`` of the points is gone. The
    points of the last patch in that order always stay, even at level 1. Remaining points keep their index, and
    random copies of them fill the holes, so N and the number of tokens stay the same.
    """

    Config = MaskConfig
    config: MaskConfig

    def select_removed(self, xyz: Float[Tensor, "B N 3"], draws: Draws) -> Bool[Tensor, "B N"]:
        """True for the points to remove."""
        total = xyz.shape[1]
        patches = min(self.config.patches, total)
        size = min(self.config.patch_size or math.ceil(2 * total / patches), total)
        centers = ops.group(xyz, ops.farthest_point_sample(xyz, patches))
        members = ops.knn(centers, xyz, size).flatten(1)
        turn = draws.permutation(patches).to(xyz.device)
        member_turn = turn.repeat_interleave(size, dim=1)
        # A point is removed with the first of its patches; a point in no patch goes with the nearest center's patch.
        goes = turn.gather(1, ops.knn(xyz, centers, 1).squeeze(2))
        goes = goes.scatter_reduce(1, members, member_turn, "amin", include_self=False)
        # The last patch is never removed, so that some points stay at any level.
        goes = goes.scatter_reduce(1, members, torch.where(member_turn == patches - 1, patches, -1), "amax")
        last = goes.sort(dim=1).values[:, math.ceil(self.level * total) - 1, None]
        return (goes <= last) & (goes < patches)
