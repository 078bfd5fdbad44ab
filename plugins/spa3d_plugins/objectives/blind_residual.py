"""Cross-entropy of model logits plus a share of the text-only log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Need, Objective, Score, Scores, Term


class BlindResidualConfig(ComponentConfig):
    """Weight of the text-only log-probabilities."""

    share: float = Field(0.5, gt=0, le=1)
    """Factor of the text-only log-probabilities, which are added to the logits in training only."""


class BlindResidual(Objective):
    """NLL under softmax(z + share · log p(· | text alone)); z: logits given the clean cloud.

    A product of experts: the cloud need not explain what the text alone already predicts. The text-only expert is
    part of the loss only; evaluation and generation use z. The text-only scores have no gradient. After Clark et
    al., arXiv 1909.03683 ("bias product"), per token.
    """

    Config = BlindResidualConfig
    config: BlindResidualConfig
    needs = (Need("chosen", "clean", vocabulary=True), Need("chosen", "blind", grad=False, vocabulary=True))

    def terms(self, scores: Scores) -> Sequence[Term]:
        """One term in nats per token, ``(B, T)``; tokens outside the answers contribute 0."""
        clean, blind = scores["chosen", "clean"], scores["chosen", "blind"]
        share = self.config.share
        # A token's logit and its log p differ by a constant per position, which the softmax cancels.
        whole = torch.logsumexp(_vocabulary(clean) + share * _vocabulary(blind).detach(), dim=-1)
        answer = clean.token_logp[clean.answer_mask] + share * blind.token_logp.detach()[blind.answer_mask]
        nll = torch.zeros_like(clean.token_logp).masked_scatter(clean.answer_mask, whole - answer)
        return (Term("nll", nll, "token"),)


def _vocabulary(score: Score) -> Float[Tensor, "A V"]:
    """Log p of the vocabulary at the answer positions, in the order of the answer mask."""
    if score.vocabulary is None:
        raise ValueError("a score has no log p of the vocabulary, which blind-residual needs")
    return score.vocabulary
