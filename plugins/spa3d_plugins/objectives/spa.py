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
from spa3d_plugins.objectives.preference import difference, prefer, with_reference


class SPAConfig(ComponentConfig):
    """Weights of the contrast and of its anchor, and departures from the paper's loss, all off by default."""

    coefficient: float = Field(1.0, gt=0)
    """Weight of the contrast, summed over an answer's tokens, per sequence."""
    anchor: float = Field(0.0, ge=0)
    """Weight of the token cross-entropy that holds log p of the answer up; 0: the paper's loss alone."""
    beta: float = Field(1.0, gt=0)
    """Factor of the margin; small values saturate late."""
    normalize: Literal["none", "length"] = "none"
    """What the margin is divided by: nothing, or the number of the answer's tokens."""
    per_round: bool = False
    """Whether each round of a conversation has a margin of its own; the loss is their mean over the rounds."""
    clip: float | None = Field(None, gt=0)
    """Largest margin that counts, in nats before the factor: what lies beyond teaches nothing more; none: no limit."""
    detach: bool = False
    """Whether the gradient stops at the worse view, so that the loss cannot be won by spoiling it."""
    reference: bool = False
    """Whether the margin that the reference model already has is subtracted."""
    negative: Literal["noised", "other"] = "noised"
    """The worse view: the noised cloud, or another object's."""


class SPA(Objective):
    """−log σ(log p(y|x) − log p(y|x′)), x′ being the noised cloud (SPA, equation 5).

    Equation 6 as printed expands this with the wrong sign; equation 5 is what is computed. The loss has no floor
    under log p(y|x): it can be won by spoiling both sides, which is what ``anchor`` is for.
    """

    Config = SPAConfig
    config: SPAConfig

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        clean, worse = Need("chosen", "clean"), Need("chosen", self.config.negative)
        asked = (clean, replace(worse, grad=not self.config.detach))
        self.needs = with_reference(*asked) if self.config.reference else asked

    def terms(self, scores: Scores) -> Sequence[Term]:
        """The contrast in nats per sequence, ``(B,)``, and the anchor in nats per token where it has a weight."""
        clean = scores["chosen", "clean"]
        contrast = Term("spa", self._contrast(scores), "sequence", self.config.coefficient)
        if self.config.anchor == 0:
            return (contrast,)
        return (contrast, Term("nll", -clean.token_logp, "token", self.config.anchor))

    def _contrast(self, scores: Scores) -> Float[Tensor, " B"]:
        """The mean over a sample's parts of −log σ(β margin); 0 where there is no worse view."""
        clean, worse = scores["chosen", "clean"], scores["chosen", self.config.negative]
        rounds = max(1, int(clean.round_index.max()) + 1) if self.config.per_round else 0
        margin = difference(self._logp(clean, rounds), self._logp(worse, rounds))
        if self.config.reference:
            known = (scores["chosen", view, "reference"] for view in ("clean", self.config.negative))
            margin = difference(margin, difference(*(self._logp(score, rounds) for score in known)))
        if self.config.clip is not None:
            margin = margin.clamp(max=self.config.clip)
        present = _sums(worse, worse.answer_mask, rounds) > 0
        return prefer(self.config.beta * margin, present).sum(dim=1) / present.sum(dim=1).clamp(min=1)

    def _logp(self, score: Score, rounds: int) -> Float[Tensor, "B R"]:
        """Log p of each part that has a margin of its own; per token where that is asked for."""
        logp = _sums(score, score.token_logp * score.answer_mask, rounds)
        if self.config.normalize == "none":
            return logp
        return logp / _sums(score, score.answer_mask, rounds).clamp(min=1)


def _sums(score: Score, tokens: Tensor, rounds: int) -> Tensor:
    """Values ``(B, T)`` summed within each of `rounds`, ``(B, rounds)``, or without rounds over all, ``(B, 1)``."""
    if not rounds:
        return tokens.sum(dim=1, keepdim=True)
    return torch.stack([tokens.where(score.round_index == each, 0).sum(dim=1) for each in range(rounds)], dim=1)
