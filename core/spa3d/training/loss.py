"""The loss of an optimizer step from the terms of an objective."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from spa3d.contracts.checks import NOT_FINITE, not_finite
from spa3d.contracts.objective import Need, Objective, Scores, Term, terms_misfit
from spa3d.errors import PluginError
from spa3d.inference.samples import Sample
from spa3d.inference.views import Views

Counts = dict[str, float]
"""Chosen answer tokens (``token``) and samples (``sequence``) in the whole optimizer step."""


def count_units(batches: Sequence[Sequence[Sample]], needs: Sequence[Need], views: Views) -> Counts:
    """Count the units that divide the terms of a step; they follow from the masks alone."""
    chosen = next(need for need in needs if need.text == "chosen" and not views[need.view].of_twin)
    samples = [sample for batch in batches for sample in batch]
    texts = [sample.texts.get(("chosen", views[chosen.view].prefix)) for sample in samples]
    return {
        "token": float(sum(text.answer_count for text in texts if text is not None)),
        "sequence": float(len(samples)),
    }


def total(terms: Sequence[Term], counts: Counts) -> Float[Tensor, ""]:
    """Loss of a micro-batch: per term, coefficient × sum of values / units of the whole step."""
    return torch.stack([term.coefficient * term.values.sum() / counts[term.unit] for term in terms]).sum()


def check_terms(objective: Objective, terms: Sequence[Term], scores: Scores, records: Sequence[str]) -> None:
    """Check the terms that `objective` made of the scores of `records`.

    NaN in the scores themselves is not the fault of the objective, and passes.

    Raises:
        PluginError: the terms break the contract; the message names the objective and, for NaN, the record.

    """
    wrong = terms_misfit(terms, scores)
    if wrong:
        raise PluginError.by(objective, wrong)
    bad = not_finite(*(term.values.detach() for term in terms))
    if bad and not not_finite(*(score.token_logp.detach() for score in scores.values())):
        names = [term.name for term in terms if not_finite(term.values.detach())]
        raise PluginError.by(
            objective, f"term {names[0]!r}: {NOT_FINITE}, for record {records[bad[0]]}, on finite scores"
        )
