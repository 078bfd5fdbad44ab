"""ORPO: cross-entropy of the chosen answer, plus its odds ratio over the rejected answer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Objective, Scores, Term
from spa3d_plugins.objectives.preference import PAIR, difference, preference_loss


class ORPOConfig(ComponentConfig):
    """Weight of the odds ratio."""

    beta: float = Field(0.1, gt=0, le=1000)
    """Weight of the odds ratio per sequence (the paper's λ)."""


class ORPO(Objective):
    """NLL − β log σ(log odds(c̄) − log odds(r̄)) (Hong et al., arXiv 2403.07691, eq. 6, 7).

    odds(p) = p / (1 − p); p is the geometric mean probability per token of an answer given the clean cloud. NLL is
    the token cross-entropy of the chosen answer. TRL also includes the prompt in NLL; here only the answer counts.
    """

    Config = ORPOConfig
    config: ORPOConfig
    needs = PAIR

    def terms(self, scores: Scores) -> Sequence[Term]:
        """Odds ratio in nats per sequence, ``(B,)``; cross-entropy per token, ``(B, T)``."""
        chosen, rejected = scores["chosen", "clean"], scores["rejected", "clean"]
        margin = difference(log_odds(chosen.mean_logp), log_odds(rejected.mean_logp))
        preference = Term("orpo", preference_loss(margin, rejected.present), "sequence", self.config.beta)
        return (preference, Term("nll", -chosen.token_logp, "token"))


def log_odds(logp: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Log of p / (1 − p) from log p.

    A probability of 1 is replaced by the next smaller number, without gradient.
    """
    below = logp.clamp(max=-torch.finfo(logp.dtype).eps)
    return below - torch.log(-torch.expm1(below))
