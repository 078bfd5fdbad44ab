"""Projector: tokens ``(B, M, D)`` to LLM embeddings ``(B, M', H)``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from spa3d.contracts.config import ComponentConfig


class Projector(nn.Module, ABC):
    """Map from encoder tokens to the LLM's embeddings; built from both widths and ``Config``."""

    Config: ClassVar[type[ComponentConfig]] = ComponentConfig

    def __init__(self, *, dim: int, hidden: int, **values: Any) -> None:
        super().__init__()
        self.config = self.Config(**values)
        self.dim, self.hidden = dim, hidden

    @abstractmethod
    def num_tokens(self, num_tokens: int) -> int:
        """Number M' of embeddings for M encoder tokens."""

    @abstractmethod
    def forward(self, tokens: Float[Tensor, "B M D"]) -> Float[Tensor, "B M2 H"]:
        """Project `tokens` to the LLM's width."""
