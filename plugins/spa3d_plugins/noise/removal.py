"""What noises that remove points have in common: survivors stay where they are and fill the holes."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from spa3d import ops
from spa3d.contracts.noise import Noise
from spa3d.runtime.rng import Draws


class Removal(Noise):
    """Every removed place is taken by a random survivor, so N and the number of tokens stay the same."""

    def apply(self, points: Float[Tensor, "B N C"], draws: Draws) -> Float[Tensor, "B N C"]:
        """Clouds with holes, ``(B, N, C)`` with xyz first; `draws` decide what goes and who fills in."""
        if self.level == 0:
            return points
        removed = self.removed(points[..., :3], draws)
        survivors = removed.int().argsort(dim=1, stable=True)
        number = (~removed).sum(dim=1, keepdim=True)
        pick = (draws.uniform(points.shape[1]).to(points.device) * number).long().clamp_max(number - 1)
        place = torch.arange(points.shape[1], device=points.device).expand_as(removed)
        return ops.group(points, torch.where(removed, survivors.gather(1, pick), place))

    def realized(self, points: Float[Tensor, "B N C"], noised: Float[Tensor, "B N C"]) -> Float[Tensor, " B"]:
        """Share of the places whose point was replaced."""
        return (points != noised).any(dim=-1).float().mean(dim=1)

    @abstractmethod
    def removed(self, xyz: Float[Tensor, "B N 3"], draws: Draws) -> Bool[Tensor, "B N"]:
        """True for the points to remove; at least one per cloud must survive."""

    def share(self, total: int) -> int:
        """How many of `total` points `level` is, to the nearest; one always survives."""
        return min(round(self.level * total), total - 1)
