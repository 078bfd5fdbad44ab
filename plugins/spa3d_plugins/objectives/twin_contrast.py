"""Twin contrast: an object and its twin, each with its own answer to the same question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Need, Objective, Scores, Term
from spa3d_plugins.objectives.preference import difference, preference_loss


class TwinContrastConfig(ComponentConfig):
    """Weight of the contrasts and factor of their margins."""

    coefficient: float = Field(0.2, ge=0, le=1000)
    """Weight of the mean of the four contrasts, per sequence; 0: cross-entropy on objects and twins only."""
    beta: float = Field(1.0, gt=0, le=1000)
    """Factor of the margins, per nat of log p summed over an answer."""


class TwinContrast(Objective):
    """NLL of (y, x) and of (y′, x′), and four contrasts −log σ(β margin) between them.

    x is the object with its answer y, x′ the twin with its answer y′; they differ in one fact. Margins: for x, y
    over y′; for x′, y′ over y; for y, x over x′; for y′, x′ over x. The twin needs its own answer: used only as a
    negative, it would teach the model to recognize twins. Samples without a twin add only their cross-entropy.
    """

    Config = TwinContrastConfig
    config: TwinContrastConfig

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        true = (Need("chosen", "clean"), Need("rejected", "twin"))
        false = (Need("rejected", "clean"), Need("chosen", "twin"))
        self.needs = (*true, *false) if self.config.coefficient else true

    def terms(self, scores: Scores) -> Sequence[Term]:
        """Cross-entropies per token, ``(B, T)``; contrast per sequence, ``(B,)``; in nats.

        The trainer divides both cross-entropies by the tokens of the objects' answers, and the contrasts by the
        number of all samples, with or without a twin.
        """
        nll = (
            Term("nll", -scores["chosen", "clean"].token_logp, "token"),
            Term("twin_nll", -scores["rejected", "twin"].token_logp, "token"),
        )
        if self.config.coefficient == 0:
            return nll
        return (*nll, Term("contrast", self._contrast(scores), "sequence", self.config.coefficient))

    def _contrast(self, scores: Scores) -> Float[Tensor, " B"]:
        """The mean of the four contrasts; 0 for samples without a twin."""
        own, other = scores["chosen", "clean"].logp, scores["rejected", "clean"].logp
        twin_own, twin_other = scores["rejected", "twin"].logp, scores["chosen", "twin"].logp
        better = torch.stack([own, twin_own, own, twin_own], dim=1)
        worse = torch.stack([other, twin_other, twin_other, other], dim=1)
        present = scores["rejected", "twin"].present[:, None].expand_as(better)
        return preference_loss(self.config.beta * difference(better, worse), present).mean(dim=1)
