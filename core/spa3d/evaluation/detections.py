"""AUROC of what answers detect, such as relevance, from prediction rows.

With intervals and paired changes. The figures join the further figures of `spa3d.evaluation.measures`, as
``<name>_auroc``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spa3d.artifacts.predictions import PredictionRow
from spa3d.evaluation.rounding import round_figure
from spa3d.evaluation.scored_units import BLIND, Values, select_shown
from spa3d.metrics.discrimination import auroc, auroc_change_interval, auroc_interval
from spa3d.runtime.rng import Key

Rows = Sequence[PredictionRow]


def summarize_detections(rows: Rows, *, bootstrap: int, key: Key) -> dict[str, dict[str, Any]]:
    """Summarize the AUROCs of one set.

    Keys are ``measures``, ``measure_ci95`` and ``blind_measures``, each a mapping by name.

    Args:
        rows: of the set, of any views; without clean ones the figures are the blind ones.
        bootstrap: resamples behind each interval.
        key: key of the random numbers.

    """
    shown = _by_name(select_shown(rows))
    intervals = {
        name: auroc_interval(*_scores(some, name), _groups(some), resamples=bootstrap, key=key)
        for name, some in shown.items()
    }
    return {
        "measures": {_title(name): round_figure(auroc(*_scores(some, name))) for name, some in shown.items()},
        "measure_ci95": {_title(name): [round_figure(end) for end in interval] for name, interval in intervals.items()},
        "blind_measures": measure_detections(rows, BLIND),
    }


def measure_detections(rows: Rows, view: str) -> dict[str, float]:
    """AUROC by name, over the answers under a view."""
    by_name = _by_name([row for row in rows if row["view"] == view])
    return {_title(name): round_figure(auroc(*_scores(some, name))) for name, some in by_name.items()}


def compare_detections(before: Rows, after: Rows, *, bootstrap: int, key: Key) -> dict[str, dict[str, Any]]:
    """Compare the AUROCs of one set of questions; change and interval by name."""
    old, new = (_by_name(select_shown(rows)) for rows in (before, after))
    changes = {}
    for name in old.keys() & new.keys():
        (first, positive), (second, _) = (_scores(side[name], name) for side in (old, new))
        groups = _groups(old[name])
        interval = auroc_change_interval(first, second, positive, groups, resamples=bootstrap, key=key)
        changes[_title(name)] = {
            "score": round_figure(auroc(second, positive) - auroc(first, positive)),
            "ci95": [round_figure(end) for end in interval],
        }
    return changes


def _by_name(rows: Rows) -> dict[str, list[PredictionRow]]:
    """Answers that detect something, by its name, sorted by id.

    Names that are never or always there are left out.
    """
    by_name: dict[str, list[PredictionRow]] = {}
    for row in sorted(rows, key=lambda row: row["id"]):
        for name in row.get("detections", {}):
            by_name.setdefault(name, []).append(row)
    return {name: some for name, some in by_name.items() if len({row["detections"][name][1] for row in some}) == 2}


def _scores(rows: Rows, name: str) -> tuple[Values, np.ndarray]:
    scores, positive = zip(*(row["detections"][name] for row in rows), strict=True)
    return np.array(scores, dtype=float), np.array(positive, dtype=bool)


def _groups(rows: Rows) -> np.ndarray:
    return np.array([row.get("group", row["record"]) for row in rows])


def _title(name: str) -> str:
    return f"{name}_auroc"
