"""Noise on colors: every color fades to gray or black."""

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
    """Strength of the fading and its target color."""

    level: float = Field(1.0, ge=0, le=1)
    """Share of the color removed: 0 keeps the color, 1 makes every point gray (or black)."""
    towards: Literal["gray", "black"] = "gray"
    """Color at level 1: each point's gray of equal luminance, or black as in a cloud without color."""


class ColorStrip(Noise):
    """Linear fading of colors to the gray of their luminance, or to black; coordinates stay.

    Gray (luminance after ITU-R BT.601, the grayscale of Pointcept's augmentations) removes hue and saturation and
    keeps light and dark, so texture and edges stay visible. Black removes everything: PointLLM marks clouds without
    color with it, and PointNeXt's color dropping (arXiv 2206.04670) uses it. No random numbers: all keys give the
    same result.
    """

    Config = ColorStripConfig
    config: ColorStripConfig

    def apply(self, points: Float[Tensor, "B N C"], draws: Draws) -> Float[Tensor, "B N C"]:
        """Fade clouds ``(B, N, C)``; clouds without color (C < 6) are returned unchanged."""
        if self.level == 0 or points.shape[-1] < 6:
            return points
        rgb = points[..., 3:6]
        left = _luminance(rgb).expand_as(rgb) if self.config.towards == "gray" else torch.zeros_like(rgb)
        return torch.cat([points[..., :3], torch.lerp(rgb, left, self.level), points[..., 6:]], dim=-1)

    def measure_level(self, points: Float[Tensor, "B N C"], noised: Float[Tensor, "B N C"]) -> Float[Tensor, " B"]:
        """Level per cloud; 0 for a cloud that already had the target colors."""
        return self.level * (points != noised).flatten(1).any(dim=1).float()


def _luminance(rgb: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 1"]:
    """Luminance of each color; of a gray it is exactly the gray value."""
    red, green, blue = rgb.split(1, dim=-1)
    return green + RED * (red - green) + BLUE * (blue - green)
