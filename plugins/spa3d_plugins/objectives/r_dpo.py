"""R-DPO: DPO with a length term, so that an answer is not preferred for its length."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Objective, Scores, Term
from spa3d_plugins.objectives.preference import PAIR, add_reference_needs, answer_margin, preference_loss


class RDPOConfig(ComponentConfig):
    """Factor of the margin and weight of the length difference."""

    beta: float = Field(0.1, gt=0, le=1000)
    """Factor of the margin over the reference, per nat of log p summed over an answer."""
    alpha: float = Field(0.05, ge=0, le=1000)
    """Added to the margin for each token that the chosen answer has more than the rejected one; 0: plain DPO."""


class RDPO(Objective):
    """−log σ(β [(c − c_ref) − (r − r_ref)] + α (n_c − n_r)) (Park et al., arXiv 2403.19159).

    c and r are log p of the chosen and the rejected answer given the clean cloud, n their numbers of tokens. Where
    the chosen answer is longer, the margin is larger and the loss smaller, so that less is learned from length.
    """

    Config = RDPOConfig
    config: RDPOConfig
    needs = add_reference_needs(*PAIR)

    def terms(self, scores: Scores) -> Sequence[Term]:
        """One term in nats per sequence, ``(B,)``; samples without a rejected answer contribute 0."""
        chosen, rejected = scores["chosen", "clean"], scores["rejected", "clean"]
        margin = self.config.beta * answer_margin(scores) + self.config.alpha * (chosen.length - rejected.length)
        loss = preference_loss(margin, rejected.present)
        return (Term("r-dpo", loss, "sequence"),)
