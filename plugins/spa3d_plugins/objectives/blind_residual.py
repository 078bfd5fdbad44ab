"""Cross-entropy of what the cloud adds to a text-only guess that is handed over for free."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.objective import Need, Objective, Score, Scores, Term


class BlindResidualConfig(ComponentConfig):
    """How much of the text-only guess is handed over."""

    share: float = Field(0.5, gt=0, le=1)
    """Share of the text-only log-probabilities that is added to the logits in training."""


class BlindResidual(Objective):
    """NLL under softmax(z + share · log p(· | text alone)), z being the logits given the clean cloud.

    A product of experts: what the text foretells is not learned from the cloud again. Only the loss has the second
    expert; evaluation and generation use z alone. The text-only side has no gradient. After Clark et al.,
    arXiv 1909.03683 ("bias product"), per token.
    """

    Config = BlindResidualConfig
    config: BlindResidualConfig
    needs = (Need("chosen", "clean", vocabulary=True), Need("chosen", "blind", grad=False, vocabulary=True))

    def terms(self, scores: Scores) -> Sequence[Term]:
        """One term in nats per token, ``(B, T)``; tokens outside the answers contribute 0."""
        clean, blind = scores["chosen", "clean"], scores["chosen", "blind"]
        share = self.config.share
        # log z of a token and its log p differ by a constant of the position, which the softmax cancels.
        whole = torch.logsumexp(_vocabulary(clean) + share * _vocabulary(blind).detach(), dim=-1)
        named = clean.token_logp[clean.answer_mask] + share * blind.token_logp.detach()[blind.answer_mask]
        nll = torch.zeros_like(clean.token_logp).masked_scatter(clean.answer_mask, whole - named)
        return (Term("nll", nll, "token"),)


def _vocabulary(score: Score) -> Float[Tensor, "A V"]:
    """Log p of the vocabulary at the answer positions, in the order of the answer mask."""
    if score.vocabulary is None:
        raise ValueError("a score has no log p of the vocabulary, which blind-residual asks for")
    return score.vocabulary
