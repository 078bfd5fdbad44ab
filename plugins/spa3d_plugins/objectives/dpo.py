"""DPO: prefer the chosen answer to the rejected one, more than the reference model does."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Objective, Scores, Term
from spa3d_plugins.objectives.preference import PAIR, add_reference_needs, answer_margin, preference_loss


class DPOConfig(ComponentConfig):
    """Factor of the margin over the reference."""

    beta: float = Field(0.1, gt=0, le=1000)
    """Factor of the margin, per nat of log p summed over an answer; small values allow a larger change."""


class DPO(Objective):
    """−log σ(β [(c − c_ref) − (r − r_ref)]) (Rafailov et al., arXiv 2305.18290, equation 7).

    c and r are log p of the chosen and of the rejected answer given the clean cloud, summed over tokens; ref marks
    the reference model.
    """

    Config = DPOConfig
    config: DPOConfig
    needs = add_reference_needs(*PAIR)

    def terms(self, scores: Scores) -> Sequence[Term]:
        """One term in nats per sequence, ``(B,)``; samples without a rejected answer contribute 0."""
        loss = preference_loss(self.config.beta * answer_margin(scores), scores["rejected", "clean"].present)
        return (Term("dpo", loss, "sequence"),)
