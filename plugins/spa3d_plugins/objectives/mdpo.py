"""mDPO: DPO over answers and over clouds, and an anchor under the chosen answer."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Objective, Scores, Term
from spa3d_plugins.objectives.preference import log_ratio, prefer
from spa3d_plugins.objectives.scene_dpo import NEEDS, answer_term, view_term


class MDPOConfig(ComponentConfig):
    """How fast margins over the reference saturate, and where the anchor lies."""

    beta: float = Field(0.1, gt=0)
    """Factor of the margins and of the anchored reward, per nat of log p summed over an answer."""
    delta: float = 0.0
    """Reward that the anchor asks of the chosen answer: β times its log p over that of the reference."""


class MDPO(Objective):
    """The two terms of `scene-dpo`, and −log σ(β ρ(y, x) − δ) (Wang et al., arXiv 2406.11839).

    ρ is log p of the chosen answer y given the clean cloud x under the policy over that under the reference: the anchor
    keeps it from falling. The noised cloud stands for the paper's cropped image.
    """

    Config = MDPOConfig
    config: MDPOConfig
    needs = NEEDS

    def terms(self, scores: Scores) -> Sequence[Term]:
        """Three terms in nats per sequence, ``(B,)``; a sample adds 0 to those whose other side it does not have."""
        reward = self.config.beta * log_ratio(scores, "chosen", "clean")
        anchor = prefer(reward - self.config.delta, scores["chosen", "clean"].present)
        return (
            Term("answer", answer_term(scores, self.config.beta), "sequence"),
            Term("view", view_term(scores, self.config.beta), "sequence"),
            Term("anchor", anchor, "sequence"),
        )
