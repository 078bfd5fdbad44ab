"""Random drop: removes a random subset of the points."""

from __future__ import annotations

from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.noise import NoiseConfig
from spa3d.runtime.rng import Draws
from spa3d_plugins.noise.removal import Removal


class RandomDropConfig(NoiseConfig):
    """Strength of the drop."""

    level: float = Field(0.25, ge=0, le=1)
    """Share of the points removed, scattered over the cloud; 0 removes none, 1 leaves a single point."""


class RandomDrop(Removal):
    """Removal of random points (SPA, table 2; drop-global of ModelNet-C, arXiv 2202.03377).

    The shape stays and its sampling gets coarser: without half of its points, an object has half the resolution.
    A point that stays at one level stays at every lower level.
    """

    Config = RandomDropConfig
    config: RandomDropConfig

    def select_removed(self, xyz: Float[Tensor, "B N 3"], draws: Draws) -> Bool[Tensor, "B N"]:
        """True for the first points of a random order."""
        total = xyz.shape[1]
        return draws.permutation(total).to(xyz.device) < self.count_removed(total)
