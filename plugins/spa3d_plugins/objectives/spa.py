"""SPA: prefer the answer given the clean cloud to the same answer given a worse cloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Need, Objective, Score, Scores, Term
from spa3d_plugins.objectives.preference import add_reference_needs, difference, preference_loss


class SPAConfig(ComponentConfig):
    """Weights of contrast and anchor, and variants of the paper's loss (all off by default)."""

    coefficient: float = Field(1.0, gt=0, le=1000)
    """Weight of the contrast, summed over an answer's tokens, per sequence."""
    anchor: float = Field(0.0, ge=0, le=1000)
    """Weight of the token cross-entropy, which penalizes a lower log p of the answer; 0: the paper's loss only."""
    beta: float = Field(1.0, gt=0, le=1000)
    """Factor of the margin; with small values the loss saturates at larger margins."""
    normalize: Literal["none", "length"] = "none"
    """Divisor of the margin: none, or the number of the answer's tokens."""
    per_round: bool = False
    """Whether each round of a conversation has a margin of its own; the loss is their mean over the rounds."""
    clip: float | None = Field(None, gt=0, le=10**6)
    """Largest margin that counts, in nats before the factor; above it there is no gradient; none: no limit."""
    detach: bool = False
    """Whether the worse view has no gradient, so that the loss cannot fall by lowering its log p."""
    reference: bool = False
    """Whether the margin that the reference model already has is subtracted."""
    negative: Literal["noised", "other"] = "noised"
    """The worse view: the noised cloud, or the cloud of another object."""


class SPA(Objective):
    """−log σ(log p(y|x) − log p(y|x′)); x′ is the noised cloud (SPA, equation 5).

    The paper's equation 6 expands this with the wrong sign, so equation 5 is computed. The loss can fall while
    log p(y|x) falls, as long as log p(y|x′) falls more; ``anchor`` prevents this.
    """

    Config = SPAConfig
    config: SPAConfig

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        clean, worse = Need("chosen", "clean"), Need("chosen", self.config.negative)
        needs = (clean, replace(worse, grad=not self.config.detach))
        self.needs = add_reference_needs(*needs) if self.config.reference else needs

    def terms(self, scores: Scores) -> Sequence[Term]:
        """Contrast in nats per sequence, ``(B,)``; anchor per token if its weight is not 0."""
        clean = scores["chosen", "clean"]
        contrast = Term("spa", self._contrast(scores), "sequence", self.config.coefficient)
        if self.config.anchor == 0:
            return (contrast,)
        return (contrast, Term("nll", -clean.token_logp, "token", self.config.anchor))

    def _contrast(self, scores: Scores) -> Float[Tensor, " B"]:
        """Mean of −log σ(β margin) over a sample's rounds; 0 where there is no worse view."""
        clean, worse = scores["chosen", "clean"], scores["chosen", self.config.negative]
        rounds = max(1, int(clean.round_index.max()) + 1) if self.config.per_round else 0
        margin = difference(self._logp(clean, rounds), self._logp(worse, rounds))
        if self.config.reference:
            known = (scores["chosen", view, "reference"] for view in ("clean", self.config.negative))
            margin = difference(margin, difference(*(self._logp(score, rounds) for score in known)))
        if self.config.clip is not None:
            margin = margin.clamp(max=self.config.clip)
        present = _sums(worse, worse.answer_mask, rounds) > 0
        return preference_loss(self.config.beta * margin, present).sum(dim=1) / present.sum(dim=1).clamp(min=1)

    def _logp(self, score: Score, rounds: int) -> Float[Tensor, "B R"]:
        """Log p per round, or of the whole sample; divided by tokens with ``normalize="length"``."""
        logp = _sums(score, score.token_logp * score.answer_mask, rounds)
        if self.config.normalize == "none":
            return logp
        return logp / _sums(score, score.answer_mask, rounds).clamp(min=1)


def _sums(score: Score, tokens: Tensor, rounds: int) -> Tensor:
    """Sum `tokens` ``(B, T)`` per round, ``(B, rounds)``; with 0 rounds over all, ``(B, 1)``."""
    if not rounds:
        return tokens.sum(dim=1, keepdim=True)
    return torch.stack([tokens.where(score.round_index == each, 0).sum(dim=1) for each in range(rounds)], dim=1)
