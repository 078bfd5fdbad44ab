"""Base class of noises that remove points and fill the holes with copies of the others."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from spa3d import ops
from spa3d.contracts.noise import Noise
from spa3d.runtime.rng import Draws


class Removal(Noise):
    """Noise that replaces each removed point by a random other one; N stays the same."""

    def apply(self, points: Float[Tensor, "B N C"], draws: Draws) -> Float[Tensor, "B N C"]:
        """Remove and refill points of clouds ``(B, N, C)`` with xyz first, using `draws`."""
        if self.level == 0:
            return points
        removed = self.select_removed(points[..., :3], draws)
        survivors = removed.int().argsort(dim=1, stable=True)
        number = (~removed).sum(dim=1, keepdim=True)
        pick = (draws.uniform(points.shape[1]).to(points.device) * number).long().clamp_max(number - 1)
        index = torch.arange(points.shape[1], device=points.device).expand_as(removed)
        return ops.group(points, torch.where(removed, survivors.gather(1, pick), index))

    def measure_level(self, points: Float[Tensor, "B N C"], noised: Float[Tensor, "B N C"]) -> Float[Tensor, " B"]:
        """Share of the points that were replaced, per cloud."""
        return (points != noised).any(dim=-1).float().mean(dim=1)

    @abstractmethod
    def select_removed(self, xyz: Float[Tensor, "B N 3"], draws: Draws) -> Bool[Tensor, "B N"]:
        """True for the points to remove; at least one per cloud must stay."""

    def count_removed(self, total: int) -> int:
        """Number of points to remove: `level` of `total`, rounded, at most `total` − 1."""
        return min(round(self.level * total), total - 1)
