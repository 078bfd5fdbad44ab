"""SceneDPO: DPO over answers, and DPO over clouds."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Need, Objective, Scores, Term
from spa3d_plugins.objectives.preference import (
    PAIR,
    add_reference_needs,
    answer_margin,
    difference,
    log_ratio,
    preference_loss,
)

NEEDS = add_reference_needs(*PAIR, Need("chosen", "noised"))


class SceneDPOConfig(ComponentConfig):
    """Factor of the margins over the reference."""

    beta: float = Field(0.1, gt=0, le=1000)
    """Factor of both margins, per nat of log p summed over an answer."""


class SceneDPO(Objective):
    """−log σ(β [ρ(y, x) − ρ(y⁻, x)]) − log σ(β [ρ(y, x) − ρ(y, x′)]) (as LEO-VL, 2506.09935).

    ρ is log p of the policy minus log p of the reference, summed over an answer's tokens; y is the chosen and y⁻
    the rejected answer, x the clean and x′ the noised cloud. LEO-VL uses another scene as x′.
    """

    Config = SceneDPOConfig
    config: SceneDPOConfig
    needs = NEEDS

    def terms(self, scores: Scores) -> Sequence[Term]:
        """Both terms in nats per sequence, ``(B,)``.

        A sample without a rejected answer, or without a noised cloud, adds 0 to the term that needs it.
        """
        return (
            Term("answer", answer_term(scores, self.config.beta), "sequence"),
            Term("view", view_term(scores, self.config.beta), "sequence"),
        )


def answer_term(scores: Scores, beta: float) -> Float[Tensor, " B"]:
    """DPO of chosen against rejected answer, given the clean cloud; nats per sequence."""
    return preference_loss(beta * answer_margin(scores), scores["rejected", "clean"].present)


def view_term(scores: Scores, beta: float) -> Float[Tensor, " B"]:
    """DPO of the clean against the noised cloud, for the chosen answer; in nats per sequence."""
    margin = difference(log_ratio(scores, "chosen", "clean"), log_ratio(scores, "chosen", "noised"))
    return preference_loss(beta * margin, scores["chosen", "noised"].present)
