"""Loss of color: every point fades towards gray."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.noise import Noise, NoiseConfig
from spa3d.runtime.rng import Draws

RED, BLUE = 0.299, 0.114
"""Weights of red and blue in the luminance; green has the rest, 0.587."""


class ColorStripConfig(NoiseConfig):
    """How much of the color, and what is left of it."""

    level: float = Field(1.0, ge=0, le=1)
    """Share of the color removed: how far each point's color goes towards gray (or black); at 1 it is there."""
    towards: Literal["gray", "black"] = "gray"
    """What is left at level 1: each point's gray of equal luminance, or black as in a cloud without color."""


class ColorStrip(Noise):
    """Colors move in a straight line to the gray of their luminance, or to black; the points stay.

    Gray (luminance after ITU-R BT.601, the grayscale of Pointcept's augmentations) takes hue and saturation and leaves
    light and dark, so texture and edges can still be seen. Black takes all: it is PointLLM's mark of a cloud without
    color, and the color dropping of PointNeXt (arXiv 2206.04670). The same for every key.
    """

    Config = ColorStripConfig
    config: ColorStripConfig

    def apply(self, points: Float[Tensor, "B N C"], draws: Draws) -> Float[Tensor, "B N C"]:
        """Faded clouds, ``(B, N, C)``; what has no color (C < 6) comes back as it is."""
        if self.level == 0 or points.shape[-1] < 6:
            return points
        rgb = points[..., 3:6]
        left = _luminance(rgb).expand_as(rgb) if self.config.towards == "gray" else torch.zeros_like(rgb)
        return torch.cat([points[..., :3], torch.lerp(rgb, left, self.level), points[..., 6:]], dim=-1)

    def realized(self, points: Float[Tensor, "B N C"], noised: Float[Tensor, "B N C"]) -> Float[Tensor, " B"]:
        """The level, and 0 for a cloud that had no color to lose."""
        return self.level * (points != noised).flatten(1).any(dim=1).float()


def _luminance(rgb: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 1"]:
    """What is gray is its own luminance, to the last bit."""
    red, green, blue = rgb.split(1, dim=-1)
    return green + RED * (red - green) + BLUE * (blue - green)
