"""ORPO: cross-entropy of the chosen answer, and an odds ratio that keeps the rejected one from rising with it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Objective, Scores, Term
from spa3d_plugins.objectives.preference import PAIR, difference, prefer


class ORPOConfig(ComponentConfig):
    """Weight of the preference beside the cross-entropy."""

    beta: float = Field(0.1, gt=0)
    """Weight of the odds ratio per sequence (the paper's λ)."""


class ORPO(Objective):
    """NLL − β log σ(log odds(c̄) − log odds(r̄)) (Hong et al., arXiv 2403.07691, equations 6 and 7).

    odds(p) = p / (1 − p) of the geometric mean probability per token of an answer given the clean cloud; NLL is the
    token cross-entropy of the chosen answer. TRL takes it over the prompt as well, here it is the answer's alone.
    """

    Config = ORPOConfig
    config: ORPOConfig
    needs = PAIR

    def terms(self, scores: Scores) -> Sequence[Term]:
        """The odds ratio in nats per sequence, ``(B,)``, and the cross-entropy in nats per token, ``(B, T)``."""
        chosen, rejected = scores["chosen", "clean"], scores["rejected", "clean"]
        margin = difference(log_odds(chosen.mean_logp), log_odds(rejected.mean_logp))
        preference = Term("orpo", prefer(margin, rejected.present), "sequence", self.config.beta)
        return (preference, Term("nll", -chosen.token_logp, "token"))


def log_odds(logp: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Log of p / (1 − p) from log p; a probability of 1 counts as the largest below it, without gradient."""
    below = logp.clamp(max=-torch.finfo(logp.dtype).eps)
    return below - torch.log(-torch.expm1(below))
