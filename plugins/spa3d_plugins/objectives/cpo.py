"""CPO: prefer the chosen answer without a reference model, plus its cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Objective, Scores, Term
from spa3d_plugins.objectives.preference import PAIR, difference, preference_loss


class CPOConfig(ComponentConfig):
    """Factor of the margin and weight of the cross-entropy."""

    beta: float = Field(0.1, gt=0, le=1000)
    """Factor of the margin, per nat of log p summed over an answer."""
    alpha: float = Field(1.0, ge=0, le=1000)
    """Weight of the chosen answer's token cross-entropy; 0: the preference term only."""


class CPO(Objective):
    """−log σ(β (c − r)) + α NLL (Xu et al., arXiv 2401.08417).

    c and r are log p of the chosen and the rejected answer given the clean cloud, summed over tokens; NLL is the token
    cross-entropy of the chosen answer.
    """

    Config = CPOConfig
    config: CPOConfig
    needs = PAIR

    def terms(self, scores: Scores) -> Sequence[Term]:
        """Preference in nats per sequence, ``(B,)``; cross-entropy per token if ``alpha`` > 0."""
        chosen, rejected = scores["chosen", "clean"], scores["rejected", "clean"]
        margin = self.config.beta * difference(chosen.logp, rejected.logp)
        preference = Term("cpo", preference_loss(margin, rejected.present), "sequence")
        if self.config.alpha == 0:
            return (preference,)
        return (preference, Term("nll", -chosen.token_logp, "token", self.config.alpha))
