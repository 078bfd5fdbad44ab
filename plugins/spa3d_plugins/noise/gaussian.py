"""Gaussian noise: a normal error on every coordinate."""

from __future__ import annotations

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.noise import Noise, NoiseConfig
from spa3d.runtime.rng import Draws


class GaussianConfig(NoiseConfig):
    """Strength of the jitter."""

    level: float = Field(0.1, ge=0, le=1)
    """Standard deviation of each coordinate's error, in radii of the cloud; 0.1 hides fine parts, 0.5 the shape."""


class Gaussian(Noise):
    """Independent normal errors on coordinates; colors stay (SPA, table 2, without sigma).

    The default is the jitter of 3D MM-Vet-C (ShapeLLM, arXiv 2402.17766), a variance of 0.01 in the unit sphere. The
    radius is the largest distance from the origin, the center of normalized clouds. Nothing is clipped: at high
    levels points leave the unit sphere. Two levels have the same errors up to a factor.
    """

    Config = GaussianConfig
    config: GaussianConfig

    def apply(self, points: Float[Tensor, "B N C"], draws: Draws) -> Float[Tensor, "B N C"]:
        """Add errors to clouds ``(B, N, C)`` with xyz first."""
        if self.level == 0:
            return points
        xyz = points[..., :3]
        radius = xyz.norm(dim=-1).amax(dim=1)[:, None, None]
        moved = xyz + self.level * radius * draws.normal(xyz.shape[1], 3).to(xyz)
        return torch.cat([moved, points[..., 3:]], dim=-1)
