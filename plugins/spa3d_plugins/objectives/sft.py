"""Supervised fine-tuning: the cross-entropy of the answers."""

from __future__ import annotations

from collections.abc import Sequence

from spa3d.contracts.objective import Need, Objective, Scores, Term


class SFT(Objective):
    """Token cross-entropy: −log p of every answer token, given the clean cloud."""

    needs = (Need("chosen", "clean"),)

    def terms(self, scores: Scores) -> Sequence[Term]:
        """One term in nats per token, ``(B, T)``; tokens outside the answers contribute 0."""
        return (Term("nll", -scores["chosen", "clean"].token_logp, "token"),)
