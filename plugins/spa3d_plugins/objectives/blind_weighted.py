"""Cross-entropy that learns most from the tokens which the text alone does not foretell."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from spa3d.contracts.objective import Need, Objective, Score, Scores, Term

LEAST, MOST = 1e-6, 100.0
"""Bounds of a token's surprise in nats: no token is wholly without weight, none beyond all measure."""


class BlindWeighted(Objective):
    """−w log p of every answer token given the clean cloud, w ∝ −log p of the same token given the text alone.

    The weights have mean 1 over an answer and no gradient. After 3DR-FT (Real-3DQA, arXiv 2603.23523), which divides
    the policy's text-only log p by that of a model tuned on text alone; here the policy's own is taken, without the
    second model.
    """

    needs = (Need("chosen", "clean"), Need("chosen", "blind", grad=False))

    def terms(self, scores: Scores) -> Sequence[Term]:
        """One term in nats per token, ``(B, T)``; tokens outside the answers contribute 0."""
        clean, blind = scores["chosen", "clean"], scores["chosen", "blind"]
        return (Term("nll", -clean.token_logp * surprise(clean, blind), "token"),)


def surprise(clean: Score, blind: Score) -> Float[Tensor, "B T"]:
    """Weights in the columns of `clean`, mean 1 over each answer: all 1 where the text-only score has no such row."""
    shared = clean.answer_mask & blind.present[:, None]
    foretold = torch.zeros_like(clean.token_logp).masked_scatter(shared, blind.token_logp.detach()[blind.answer_mask])
    nats = (-foretold).clamp(LEAST, MOST) * clean.answer_mask
    mean = nats.sum(dim=1, keepdim=True) / clean.length[:, None].clamp(min=1)
    return nats / mean.clamp(min=LEAST)
