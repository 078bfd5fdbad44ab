"""Linear layers with GELU between them: the projector of PointLLM v1.2."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.projector import Projector


class MLPConfig(ComponentConfig):
    """Widths of the hidden layers."""

    widths: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field((1024, 2048), min_length=1)
    """Widths of the hidden layers; PointLLM's are 1024 and 2048."""


class MLP(Projector):
    """D → widths → H, exact GELU between the layers (PointLLM, arXiv 2308.16911).

    The layers have the published numbers: ``point_proj.{0,2,4}.*`` are ``layers.{0,2,4}.*`` here.
    """

    Config = MLPConfig
    config: MLPConfig

    def __init__(self, *, dim: int, hidden: int, **values: Any) -> None:
        super().__init__(dim=dim, hidden=hidden, **values)
        widths = (dim, *self.config.widths, hidden)
        layers = [module for pair in pairwise(widths) for module in (nn.Linear(*pair), nn.GELU())]
        self.layers = nn.Sequential(*layers[:-1])

    def num_tokens(self, num_tokens: int) -> int:
        """Number of output tokens, equal to the number of input tokens."""
        return num_tokens

    def forward(self, tokens: Float[Tensor, "B M D"]) -> Float[Tensor, "B M H"]:
        """Project ``(B, M, D)`` to ``(B, M, H)``."""
        return self.layers(tokens)
