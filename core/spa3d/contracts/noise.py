"""Noise: a cloud to a worse cloud of the same shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.checks import NOT_FINITE, not_finite, tensor_misfit
from spa3d.contracts.config import ComponentConfig
from spa3d.errors import PluginError
from spa3d.runtime.rng import Draws


class NoiseConfig(ComponentConfig):
    """Every noise has exactly one strength."""

    level: float = Field(0.25, ge=0, le=1, description="strength of the noise, 0 = identity")


class Noise(ABC):
    """Noise on clouds: for the negative view of SPA, for audits and robustness curves.

    ``apply`` gets normalized clouds (unit sphere, xyz first, then colors in [0, 1]) and keyed draws, and
    returns clouds of the same shape. ``level`` 0 must return the input unchanged.
    """

    Config: ClassVar[type[NoiseConfig]] = NoiseConfig
    modality: ClassVar[Literal["points"]] = "points"

    def __init__(self, **values: Any) -> None:
        self.config = self.Config(**values)

    @property
    def level(self) -> float:
        """The configured strength in [0, 1]."""
        return self.config.level

    @abstractmethod
    def apply(self, points: Float[Tensor, "B N C"], draws: Draws) -> Float[Tensor, "B N C"]:
        """Return the noised clouds; all randomness comes from `draws` (one stream per cloud)."""

    def measure_level(self, points: Float[Tensor, "B N C"], noised: Float[Tensor, "B N C"]) -> Float[Tensor, " B"]:
        """Measured level, ``(B,)``, for metrics. Override it if it can differ from ``level``."""
        return points.new_full((len(points),), self.level)


def apply_noise(
    noise: Noise, points: Float[Tensor, "B N C"], draws: Draws
) -> tuple[Float[Tensor, "B N C"], Float[Tensor, " B"]]:
    """Apply `noise`, check its contract, and return the noised clouds and their measured levels.

    Args:
        noise: to apply.
        points: the clouds.
        draws: keyed as ``(seed, epoch, record id, view)``.

    Raises:
        PluginError: the noise breaks its contract; the message names it and the record.

    """
    noised = noise.apply(points, draws)
    wrong = tensor_misfit(noised, points.shape, dtype=points.dtype, device=points.device)
    if wrong:
        raise PluginError.by(noise, f"apply: {wrong}")
    levels = noise.measure_level(points, noised)
    wrong = tensor_misfit(levels, (len(points),), device=points.device)
    if wrong:
        raise PluginError.by(noise, f"measure_level: {wrong}")
    bad = not_finite(noised, levels)
    if bad:
        raise PluginError.by(noise, f"{NOT_FINITE}, for record {draws.keys[bad[0]][-2]}")
    return noised, levels
