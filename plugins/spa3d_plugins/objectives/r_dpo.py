"""R-DPO: DPO that does not pay for length."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Objective, Scores, Term
from spa3d_plugins.objectives.preference import PAIR, answer_margin, prefer, with_reference


class RDPOConfig(ComponentConfig):
    """How fast a margin saturates, and what a token costs."""

    beta: float = Field(0.1, gt=0)
    """Factor of the margin over the reference, per nat of log p summed over an answer."""
    alpha: float = Field(0.05, ge=0)
    """What each token by which the chosen answer is the longer one adds to the margin; 0: plain DPO."""


class RDPO(Objective):
    """−log σ(β [(c − c_ref) − (r − r_ref)] + α (n_c − n_r)) (Park et al., arXiv 2403.19159).

    c and r are log p of the chosen and the rejected answer given the clean cloud, n their tokens: a pair whose chosen
    answer is the longer one already counts as partly won, so its length is not what is learned from it.
    """

    Config = RDPOConfig
    config: RDPOConfig
    needs = with_reference(*PAIR)

    def terms(self, scores: Scores) -> Sequence[Term]:
        """One term in nats per sequence, ``(B,)``; samples without a rejected answer contribute 0."""
        chosen, rejected = scores["chosen", "clean"], scores["rejected", "clean"]
        margin = self.config.beta * answer_margin(scores) + self.config.alpha * (chosen.length - rejected.length)
        loss = prefer(margin, rejected.present)
        return (Term("r-dpo", loss, "sequence"),)
