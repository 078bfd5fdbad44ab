"""Cross-entropy with larger weights on tokens that the text alone does not predict."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from spa3d.contracts.objective import Need, Objective, Score, Scores, Term

LEAST, MOST = 1e-6, 100.0
"""Bounds of a token's text-only negative log p in nats, so that no weight is 0 or unbounded."""


class BlindWeighted(Objective):
    """−w log p of each answer token given the clean cloud; w ∝ −log p given the text alone.

    The weights have mean 1 over an answer and no gradient. After 3DR-FT (Real-3DQA, arXiv 2603.23523), which divides
    the policy's text-only log p by that of a model tuned on text alone. Here only the policy's text-only log p is
    used, without a second model.
    """

    needs = (Need("chosen", "clean"), Need("chosen", "blind", grad=False))

    def terms(self, scores: Scores) -> Sequence[Term]:
        """One term in nats per token, ``(B, T)``; tokens outside the answers contribute 0."""
        clean, blind = scores["chosen", "clean"], scores["chosen", "blind"]
        return (Term("nll", -clean.token_logp * surprise(clean, blind), "token"),)


def surprise(clean: Score, blind: Score) -> Float[Tensor, "B T"]:
    """Token weights in the columns of `clean`, mean 1 over each answer.

    A sample without a text-only score has weight 1 at every token.
    """
    shared = clean.answer_mask & blind.present[:, None]
    logp = torch.zeros_like(clean.token_logp).masked_scatter(shared, blind.token_logp.detach()[blind.answer_mask])
    nats = (-logp).clamp(LEAST, MOST) * clean.answer_mask
    mean = nats.sum(dim=1, keepdim=True) / clean.length[:, None].clamp(min=1)
    return nats / mean.clamp(min=LEAST)
