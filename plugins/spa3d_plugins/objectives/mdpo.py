"""mDPO: DPO over answers and over clouds, plus a loss on a low chosen reward (anchor)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Objective, Scores, Term
from spa3d_plugins.objectives.preference import log_ratio, preference_loss
from spa3d_plugins.objectives.scene_dpo import NEEDS, answer_term, view_term


class MDPOConfig(ComponentConfig):
    """Factor of the margins over the reference, and target of the anchor."""

    beta: float = Field(0.1, gt=0, le=1000)
    """Factor of the margins and of the anchored reward, per nat of log p summed over an answer."""
    delta: float = Field(0.0, ge=-1000, le=1000)
    """Target reward of the chosen answer in the anchor; reward: β times its log-ratio to the reference."""


class MDPO(Objective):
    """The two terms of `scene-dpo`, plus −log σ(β ρ(y, x) − δ) (Wang et al., arXiv 2406.11839).

    ρ is log p(y|x) of the policy minus that of the reference; y is the chosen answer and x the clean cloud. The
    third term, the anchor, penalizes a lower log p(y|x). The noised cloud replaces the paper's cropped image.
    """

    Config = MDPOConfig
    config: MDPOConfig
    needs = NEEDS

    def terms(self, scores: Scores) -> Sequence[Term]:
        """Three terms in nats per sequence, ``(B,)``.

        A sample without a rejected answer, or without a noised cloud, adds 0 to the term that needs it.
        """
        reward = self.config.beta * log_ratio(scores, "chosen", "clean")
        anchor = preference_loss(reward - self.config.delta, scores["chosen", "clean"].present)
        return (
            Term("answer", answer_term(scores, self.config.beta), "sequence"),
            Term("view", view_term(scores, self.config.beta), "sequence"),
            Term("anchor", anchor, "sequence"),
        )
