"""Several drawn answers to one question: their mean, and the spread between draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spa3d.artifacts.predictions import PredictionRow
from spa3d.metrics.text_floor import TEXT_TABLE

DIGITS = 6


def merge_samples(samples: Sequence[Sequence[PredictionRow]]) -> list[PredictionRow]:
    """Merge the rows of several draws of the same questions, in the same order.

    A merged row has the mean of value, valid and measures, the text of the first draw, and all draws under ``samples``.
    Rows with options are left as they are: log p of options is not drawn.
    """
    if len(samples) == 1:
        return [*samples[0]]
    return [_merge(rows) for rows in zip(*samples, strict=True)]


def measure_spread(samples: Sequence[Sequence[PredictionRow]]) -> dict[str, Any] | None:
    """Scores of each draw on the reported split, by view, with their standard deviation.

    None for one draw, and where no answer is drawn.
    """
    if len(samples) == 1 or all(row["options"] for row in samples[0]):
        return None
    scores = [_score_views(rows) for rows in samples]
    return {
        "count": len(samples),
        "views": {
            view: {
                "scores": [round(score[view], DIGITS) for score in scores],
                "deviation": round(float(np.std([score[view] for score in scores], ddof=1)), DIGITS),
            }
            for view in scores[0]
        },
    }


def _score_views(rows: Sequence[PredictionRow]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for row in rows:
        if row["set"] == "test" and row["view"] != TEXT_TABLE:
            values.setdefault(row["view"], []).append(row["value"])
    return {view: float(np.mean(some)) for view, some in values.items()}


def _merge(rows: Sequence[PredictionRow]) -> PredictionRow:
    first = rows[0]
    if first["options"] is not None:
        return first
    names = dict.fromkeys(name for row in rows for name in row["measures"])
    measures: Mapping[str, list[float]] = {
        name: [row["measures"][name] for row in rows if name in row["measures"]] for name in names
    }
    return {
        **first,
        "value": float(np.mean([row["value"] for row in rows])),
        "valid": float(np.mean([row["valid"] for row in rows])),
        "measures": {name: float(np.mean(values)) for name, values in measures.items()},
        "samples": [{name: row[name] for name in ("text", "value", "valid", "measures")} for row in rows],
    }
