"""From what an objective asks for to the numbers it gets: all policy scores of a step in one forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from spa3d.contracts.objective import Need, Score, Scores
from spa3d.inference.samples import Sample
from spa3d.inference.views import Views
from spa3d.model.tokens import IGNORED, Tokens, collate

ViewTokens = Mapping[str, Mapping[int, Tensor]]
"""View → place in the batch → encoder tokens ``(M, D)``."""


def score(model: Any, needs: Sequence[Need], batch: Sequence[Sample], views: Views) -> Scores:
    """Score every need: one forward with gradient, and one without for those that want none.

    `model` may be wrapped (DDP, FSDP); views and texts are concatenated along the batch, and each distinct view is
    encoded once.
    """
    shown = _encode(needs, batch, views)
    scores: dict[tuple[str, str, str], Score] = {}
    for grad in (True, False):
        asked = [need for need in needs if need.grad is grad]
        if asked:
            with nullcontext() if grad else torch.no_grad():
                scores.update(_forward(model, asked, batch, views, shown))
    return Scores(scores)


def _encode(needs: Sequence[Need], batch: Sequence[Sample], views: Views) -> ViewTokens:
    """Each view that is needed of each sample that has it, encoded once."""
    found: dict[str, dict[int, Tensor]] = {}
    for view in sorted({need.view for need in needs} - {"blind"}):
        asked = [need for need in needs if need.view == view]
        places = [
            i for i, sample in enumerate(batch) if sample.has_cloud and any(sample.tokens(need) for need in asked)
        ]
        if places:
            ids = [batch[i].twin_id if view == "twin" else batch[i].record_id for i in places]
            tokens = views.tokens(view, ids, [batch[i].epoch for i in places])
            found[view] = dict(zip(places, tokens, strict=True))
    return found


def _forward(
    model: Any, needs: Sequence[Need], batch: Sequence[Sample], views: Views, shown: ViewTokens
) -> dict[tuple[str, str, str], Score]:
    rows, clouds, places = list[Tokens](), list[Tensor](), dict[tuple[str, str, str], list[int]]()
    for need in needs:
        places[need.key] = [i for i, sample in enumerate(batch) if sample.tokens(need) is not None]
        for i in places[need.key]:
            rows.append(_text(batch[i], need))
            if need.view != "blind" and batch[i].has_cloud:
                clouds.append(shown[need.view][i])
    if not rows:
        return {need.key: _nothing(len(batch), views.model.device) for need in needs}
    inputs = collate(rows, views.clouds.processor.tokenizer.pad_token_id, views.model.device)
    output = model(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        labels=inputs["labels"],
        point_tokens=torch.stack(clouds) if clouds else None,
        **({"vocabulary": True} if any(need.vocabulary for need in needs) else {}),
    )
    columns = (output.answer_logp, inputs["labels"] != IGNORED, inputs["rounds"])
    scores, first, answered = {}, 0, 0
    for need in needs:
        last = first + len(places[need.key])
        logp, mask, rounds = (column[first:last] for column in columns)
        count = int(mask.sum())
        scores[need.key] = Score(
            token_logp=_spread(logp, places[need.key], len(batch), 0),
            answer_mask=_spread(mask, places[need.key], len(batch), False),
            round_index=_spread(rounds, places[need.key], len(batch), -1),
            vocabulary=output.answer_vocabulary[answered : answered + count] if need.vocabulary else None,
        )
        first, answered = last, answered + count
    return scores


def _nothing(size: int, device: torch.device) -> Score:
    """The score of a need that no sample of the batch has."""
    empty = torch.zeros(size, 1, device=device)
    return Score(empty, empty.bool(), empty.long() - 1)


def _text(sample: Sample, need: Need) -> Tokens:
    found = sample.tokens(need)
    if found is None:
        raise ValueError(f"record {sample.record_id} has no {need.text} text under the view {need.view}")
    return found


def _spread(rows: Tensor, places: Sequence[int], size: int, fill: int | bool) -> Tensor:
    """Rows at their places in the batch, `fill` where there is none."""
    if len(places) == size:
        return rows
    whole = rows.new_full((size, rows.shape[1]), fill)
    return whole.index_copy(0, torch.tensor(places, device=rows.device), rows) if places else whole
