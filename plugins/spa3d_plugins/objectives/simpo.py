"""SimPO: prefer the chosen answer per token, by a margin, without a reference model."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Objective, Scores, Term
from spa3d_plugins.objectives.preference import PAIR, difference, preference_loss


class SimPOConfig(ComponentConfig):
    """Factor and target of the margin."""

    beta: float = Field(2.0, gt=0, le=1000)
    """Factor of the difference between the mean log p per token of both answers."""
    gamma: float = Field(0.3, ge=0, le=1000)
    """Target margin, after the factor: gamma of the paper and of TRL; the authors' code takes gamma / beta."""


class SimPO(Objective):
    """−log σ(β (c̄ − r̄) − γ) (Meng et al., arXiv 2405.14734, equation 6).

    c̄ and r̄ are the mean log p per token of the chosen and of the rejected answer given the clean cloud.
    """

    Config = SimPOConfig
    config: SimPOConfig
    needs = PAIR

    def terms(self, scores: Scores) -> Sequence[Term]:
        """One term in nats per sequence, ``(B,)``; samples without a rejected answer contribute 0."""
        chosen, rejected = scores["chosen", "clean"], scores["rejected", "clean"]
        margin = self.config.beta * difference(chosen.mean_logp, rejected.mean_logp) - self.config.gamma
        return (Term("simpo", preference_loss(margin, rejected.present), "sequence"),)
