"""Noise ``jitter``."""

from jaxtyping import Float
from torch import Tensor

from spa3d import Draws, Noise


class Jitter(Noise):
    """Gaussian noise on the positions; `level` is its deviation in units of the cloud's radius."""

    def apply(self, points: Float[Tensor, "B N C"], draws: Draws) -> Float[Tensor, "B N C"]:
        noised = points.clone()
        noised[..., :3] += self.level * draws.normal(points.shape[1], 3)
        return noised
