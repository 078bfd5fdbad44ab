"""IPO: move the margin over the reference to a fixed size instead of maximizing it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Objective, Scores, Term
from spa3d_plugins.objectives.preference import PAIR, add_reference_needs, difference, log_ratio


class IPOConfig(ComponentConfig):
    """Target size of the margin."""

    beta: float = Field(0.1, gt=0, le=1000)
    """Strength of the reference (the paper's τ): the target margin is 1 / (2 β) nats per token."""


class IPO(Objective):
    """[(c − c_ref) / n_c − (r − r_ref) / n_r − 1 / (2 β)]² (Azar et al., arXiv 2310.12036).

    c and r are log p of the chosen and the rejected answer given the clean cloud; n_c and n_r are their numbers of
    tokens. The paper does not divide by n; its authors later recommended it, and TRL does it.
    """

    Config = IPOConfig
    config: IPOConfig
    needs = add_reference_needs(*PAIR)

    def terms(self, scores: Scores) -> Sequence[Term]:
        """Term in squared nats per sequence, ``(B,)``; 0 without a rejected answer."""
        chosen, rejected = (
            log_ratio(scores, text, "clean") / scores[text, "clean"].length.clamp(min=1)
            for text in ("chosen", "rejected")
        )
        loss = (difference(chosen, rejected) - 1 / (2 * self.config.beta)).square()
        present = scores["rejected", "clean"].present
        return (Term("ipo", torch.where(present, loss, torch.zeros_like(loss)), "sequence"),)
