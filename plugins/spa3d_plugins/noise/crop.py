"""Crop: removes one side of a cloud."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.noise import NoiseConfig
from spa3d.runtime.rng import Draws
from spa3d_plugins.noise.removal import Removal


class CropConfig(NoiseConfig):
    """Strength of the crop."""

    level: float = Field(0.25, ge=0, le=1)
    """Share of the points removed, all on the far side of a random plane; 0 removes none, 1 leaves a single point."""


class Crop(Removal):
    """Removal of all points beyond a plane of random direction; `level` sets its position.

    RPM-Net makes its partial clouds in this way (arXiv 2003.13479; 70 % of the points stay). Other crops remove the
    points nearest to a viewpoint (PoinTr, arXiv 2108.08839) or to a point of the surface (drop-local of ModelNet-C,
    arXiv 2202.03377; `mask` removes many such patches). A plane gives one clean cut at every level, whatever the
    shape and the density. A point that stays at one level stays at every lower level.
    """

    Config = CropConfig
    config: CropConfig

    def select_removed(self, xyz: Float[Tensor, "B N 3"], draws: Draws) -> Bool[Tensor, "B N"]:
        """True for the points farthest along a random direction; of equally far points the first."""
        direction = F.normalize(draws.normal(3), dim=-1).to(xyz)
        order = (xyz * direction[:, None]).sum(dim=-1).argsort(dim=1, descending=True, stable=True)
        beyond = torch.zeros(xyz.shape[:2], dtype=torch.bool, device=xyz.device)
        return beyond.scatter_(1, order[:, : self.count_removed(xyz.shape[1])], True)
