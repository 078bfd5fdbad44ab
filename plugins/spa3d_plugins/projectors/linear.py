"""A single linear layer: the projector of LLaVA and of PointLLM v1.1."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from spa3d.contracts.projector import Projector


class Linear(Projector):
    """One linear layer per token (LLaVA, arXiv 2304.08485); published weights fit ``layer.*``."""

    def __init__(self, *, dim: int, hidden: int, **values: Any) -> None:
        super().__init__(dim=dim, hidden=hidden, **values)
        self.layer = nn.Linear(dim, hidden)

    def num_tokens(self, num_tokens: int) -> int:
        """Number of output tokens, equal to the number of input tokens."""
        return num_tokens

    def forward(self, tokens: Float[Tensor, "B M D"]) -> Float[Tensor, "B M H"]:
        """Project ``(B, M, D)`` to ``(B, M, H)``."""
        return self.layer(tokens)
