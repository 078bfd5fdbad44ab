"""Named sequence scores of a batch: all policy scores of a step from one forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spa3d.contracts.objective import Need, Score, Scores
from spa3d.inference.samples import Sample
from spa3d.inference.views import Views
from spa3d.model.tokens import IGNORED, Tokens, collate

Encoded = Mapping[str, Mapping[int, Tensor]]
"""View → index in the batch → encoder tokens ``(M, D)``."""


@dataclass(frozen=True)
class ScoredBatch:
    """Scores of a batch, and by view the mean measured level of its noise and how many it is of."""

    scores: Scores
    levels: Mapping[str, tuple[float, int]]


def score(model: Any, needs: Sequence[Need], batch: Sequence[Sample], views: Views) -> ScoredBatch:
    """Score every need: one forward for needs with gradient, and one for those without.

    `model` may be wrapped (DDP, FSDP); views and texts are concatenated along the batch, and each distinct view is
    encoded once.
    """
    encoded, levels = _encode(needs, batch, views)
    scores: dict[tuple[str, str, str], Score] = {}
    for grad in (True, False):
        some = [need for need in needs if need.grad is grad]
        if some:
            with nullcontext() if grad else torch.no_grad():
                scores.update(_forward(model, some, batch, views, encoded))
    return ScoredBatch(Scores(scores), levels)


def _encode(
    needs: Sequence[Need], batch: Sequence[Sample], views: Views
) -> tuple[Encoded, dict[str, tuple[float, int]]]:
    """Encode every needed view of the batch once; returns the tokens and the noise levels."""
    encoded: dict[str, dict[int, Tensor]] = {}
    levels: dict[str, tuple[float, int]] = {}
    for name in sorted({need.view for need in needs}):
        view = views[name]
        texts = {need.text for need in needs if need.view == name}
        indices = [
            i for i, sample in enumerate(batch) if sample.has_cloud and any(sample.tokens(text, view) for text in texts)
        ]
        if view.prefix == "blind" or not indices:
            continue
        shown = view.tokens([(batch[i].record_id_for(view), batch[i].epoch) for i in indices])
        if shown.tokens is not None:
            encoded[name] = dict(zip(indices, shown.tokens, strict=True))
        if shown.level is not None:
            levels[name] = (shown.level, len(indices))
    return encoded, levels


@dataclass(frozen=True)
class _Rows:
    """Texts of one forward, their clouds in order, and by need the indices in the batch."""

    texts: list[Tokens]
    clouds: list[Tensor]
    places: Mapping[tuple[str, str, str], list[int]]


def _rows(needs: Sequence[Need], batch: Sequence[Sample], views: Views, encoded: Encoded) -> _Rows:
    texts, clouds, places = list[Tokens](), list[Tensor](), dict[tuple[str, str, str], list[int]]()
    for need in needs:
        view = views[need.view]
        places[need.key] = []
        for i, sample in enumerate(batch):
            text = sample.tokens(need.text, view)
            if text is None:
                continue
            places[need.key].append(i)
            texts.append(text)
            if view.prefix == "cloud" and sample.has_cloud:
                clouds.append(encoded[need.view][i])
    return _Rows(texts, clouds, places)


def _forward(
    model: Any, needs: Sequence[Need], batch: Sequence[Sample], views: Views, encoded: Encoded
) -> dict[tuple[str, str, str], Score]:
    rows, device = _rows(needs, batch, views, encoded), views.model.device
    if not rows.texts:
        return {need.key: _empty_score(len(batch), device) for need in needs}
    patch = views.model.config.point_ids[1]
    inputs = collate(rows.texts, views.encoder.processor.pad_id, device)
    output = model(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        labels=inputs["labels"],
        point_tokens=torch.stack(rows.clouds) if rows.clouds else None,
        patch_count=sum(text.ids.count(patch) for text in rows.texts),  # counted here, without waiting for a GPU
        **({"vocabulary": True} if any(need.vocabulary for need in needs) else {}),
    )
    columns = (output.answer_logp, inputs["labels"] != IGNORED, inputs["rounds"])
    scores, first, answered = {}, 0, 0
    for need in needs:
        last = first + len(rows.places[need.key])
        logp, mask, rounds = (column[first:last] for column in columns)
        count = sum(text.answer_count for text in rows.texts[first:last])
        scores[need.key] = Score(
            token_logp=_spread(logp, rows.places[need.key], len(batch), 0),
            answer_mask=_spread(mask, rows.places[need.key], len(batch), False),
            round_index=_spread(rounds, rows.places[need.key], len(batch), -1),
            vocabulary=output.answer_vocabulary[answered : answered + count] if need.vocabulary else None,
        )
        first, answered = last, answered + count
    return scores


def _empty_score(size: int, device: torch.device) -> Score:
    """Make the score of a need that no sample of the batch has."""
    empty = torch.zeros(size, 1, device=device)
    return Score(empty, empty.bool(), empty.long() - 1)


def _spread(rows: Tensor, indices: Sequence[int], size: int, fill: int | bool) -> Tensor:
    """Put rows at their indices in the batch; all others get `fill`."""
    if len(indices) == size:
        return rows
    whole = rows.new_full((size, rows.shape[1]), fill)
    return whole.index_copy(0, torch.tensor(indices, device=rows.device), rows) if indices else whole
