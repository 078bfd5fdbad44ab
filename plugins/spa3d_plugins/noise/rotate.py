"""Rotation of a cloud about an axis through the origin."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.noise import Noise, NoiseConfig
from spa3d.runtime.rng import Draws


class RotateConfig(NoiseConfig):
    """Angle and axis of the rotation."""

    level: float = Field(0.25, ge=0, le=1)
    """Angle of the rotation, as a share of 180°: 0.25 is 45°, 1 is 180°."""
    axis: Literal["random", "x", "y", "z"] = "random"
    """Axis of the rotation: random for each cloud, or a coordinate axis (y is up in the shipped data)."""


class Rotate(Noise):
    """Rotation by exactly the configured angle; points keep their colors.

    A corruption of ModelNet-C (arXiv 2202.03377) and 3D MM-Vet-C (ShapeLLM, arXiv 2402.17766). By default the axis is
    random (uniform on the sphere), so that the up axis of the data does not matter. With ``axis`` set to the up axis
    the object stays upright; an encoder pretrained on clouds rotated about that axis should not be affected. About a
    fixed axis the direction of the rotation is random.
    """

    Config = RotateConfig
    config: RotateConfig

    def apply(self, points: Float[Tensor, "B N C"], draws: Draws) -> Float[Tensor, "B N C"]:
        """Rotate clouds ``(B, N, C)`` with xyz first."""
        if self.level == 0:
            return points
        turn = _rotation(self._axis(draws), self.level * math.pi).to(points)
        # A sum of three products per coordinate: a batched product may add in an order that depends on the batch.
        xyz = (points[..., None, :3] * turn[:, None]).sum(dim=-1)
        return torch.cat([xyz, points[..., 3:]], dim=-1)

    def _axis(self, draws: Draws) -> Float[Tensor, "B 3"]:
        """Unit vectors of the axes, float64, on the CPU."""
        if self.config.axis == "random":
            return F.normalize(draws.normal(3).cpu().double(), dim=-1)
        sense = 2.0 * draws.integers(2).cpu().double() - 1
        return sense[:, None] * torch.eye(3, dtype=torch.float64)["xyz".index(self.config.axis)]


def _rotation(axis: Float[Tensor, "B 3"], angle: float) -> Float[Tensor, "B 3 3"]:
    """Rotation matrices by `angle` (radians): cos I + sin [a]× + (1 - cos) a aᵀ."""
    x, y, z = axis.unbind(dim=-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    along = axis[:, :, None] * axis[:, None]
    return math.cos(angle) * torch.eye(3).to(axis) + math.sin(angle) * cross + (1 - math.cos(angle)) * along
