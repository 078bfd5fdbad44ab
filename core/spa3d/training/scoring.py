"""From what an objective asks for to the numbers it gets: all policy scores of a step in one forward."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from spa3d.contracts.objective import Need, Score, Scores, Term
from spa3d.model.labels import IGNORED
from spa3d.model.processing import Tokens, opening_of
from spa3d.training.samples import Sample
from spa3d.training.views import Views

Counts = dict[str, float]
"""Answer tokens (``token``) and sequences (``sequence``) in the whole optimiser step."""


def count_units(batches: Sequence[Sequence[Sample]], needs: Sequence[Need]) -> Counts:
    """Units of the step that the terms are divided by; known from the masks before any forward."""
    opening = opening_of(needs[0].view)
    samples = [sample for batch in batches for sample in batch]
    return {
        "token": float(sum(sample.texts[opening].answer_count for sample in samples)),
        "sequence": float(len(samples)),
    }


def score(model: Any, needs: Sequence[Need], batch: Sequence[Sample], views: Views) -> Scores:
    """Score every need: one forward with gradient, and one without for those that want none.

    `model` may be wrapped (DDP, FSDP); views and texts are concatenated along the batch, and each distinct view is
    encoded once.
    """
    scores: dict[tuple[str, str, str], Score] = {}
    for grad in (True, False):
        wanted = [need for need in needs if need.grad is grad]
        if wanted:
            with nullcontext() if grad else torch.no_grad():
                scores.update(_forward(model, wanted, batch, views))
    return Scores(scores)


def total(terms: Sequence[Term], counts: Counts) -> Float[Tensor, ""]:
    """The loss of a micro-batch: each term's sum over the units of the whole step, times its coefficient."""
    return torch.stack([term.coefficient * term.values.sum() / counts[term.unit] for term in terms]).sum()


def _forward(
    model: Any, needs: Sequence[Need], batch: Sequence[Sample], views: Views
) -> dict[tuple[str, str, str], Score]:
    shown = [sample for sample in batch if sample.has_cloud]
    ids, epochs = [sample.record_id for sample in shown], [sample.epoch for sample in shown]
    seen = {need.view for need in needs if need.view != "blind"}
    tokens = {view: views.tokens(view, ids, epochs) for view in sorted(seen)} if shown else {}
    rows = [sample.texts[opening_of(need.view)] for need in needs for sample in batch]
    clouds = [tokens[need.view] for need in needs if need.view in tokens]
    inputs = collate(rows, views.clouds.processor.tokenizer.pad_token_id, views.model.device)
    output = model(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        labels=inputs["labels"],
        point_tokens=torch.cat(clouds) if clouds else None,
    )
    size = len(batch)
    return {
        need.key: Score(
            token_logp=output.answer_logp[i * size : (i + 1) * size],
            answer_mask=inputs["labels"][i * size : (i + 1) * size] != IGNORED,
            round_index=inputs["rounds"][i * size : (i + 1) * size],
        )
        for i, need in enumerate(needs)
    }


def collate(rows: Sequence[Tokens], pad: int, device: torch.device) -> dict[str, Tensor]:
    """Right-padded ``input_ids``, ``attention_mask``, ``labels`` and ``rounds``, each ``(B, T)`` int64."""
    width = max(len(row.ids) for row in rows)

    def table(values: Sequence[Sequence[int]], fill: int) -> Tensor:
        padded = [list(row) + [fill] * (width - len(row)) for row in values]
        return torch.tensor(padded, dtype=torch.long).to(device, non_blocking=True)

    return {
        "input_ids": table([row.ids for row in rows], pad),
        "attention_mask": table([[1] * len(row.ids) for row in rows], 0),
        "labels": table([row.labels for row in rows], IGNORED),
        "rounds": table([row.rounds for row in rows], -1),
    }
