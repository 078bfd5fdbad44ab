"""Encoder ``slabs``: points sorted by height, in equal slabs, each pooled by its maximum."""

from typing import Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from spa3d import ComponentConfig, Encoder
from spa3d.contracts.encoder import Channel


class Config(ComponentConfig):
    """Size of the encoder."""

    width: int = Field(48, ge=4)
    """Width of the tokens."""
    slabs: int = Field(8, ge=1)
    """Number of slabs, and of tokens."""


class Slabs(Encoder):
    """The same for any order of the points."""

    Config = Config

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        width = self.config.width
        self.lift = nn.Sequential(nn.Linear(self.channels, width), nn.GELU(), nn.Linear(width, width))
        self.mix = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    @property
    def inputs(self) -> tuple[Channel, ...]:
        return ("xyz", "rgb", "height")

    @property
    def min_points(self) -> int:
        return self.config.slabs

    @property
    def dim(self) -> int:
        return self.config.width

    def num_tokens(self, num_points: int) -> int:
        return self.config.slabs

    def forward(self, points: Float[Tensor, "B N 7"]) -> Float[Tensor, "B M D"]:
        order = points[..., -1].argsort(dim=1, stable=True)
        rising = torch.take_along_dim(points, order.unsqueeze(-1), dim=1)
        pooled = [slab.amax(dim=1) for slab in self.lift(rising).tensor_split(self.config.slabs, dim=1)]
        return self.mix(torch.stack(pooled, dim=1))

    def pool(self, points: Float[Tensor, "B N 7"]) -> Float[Tensor, "B D"]:
        return self(points).amax(dim=1)
