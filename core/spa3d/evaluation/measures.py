"""Further figures of a benchmark, such as BLEU: means, intervals and paired changes.

A figure counts over the answers that have it. Its interval is that of a share after its range, at least 0 to 1, is
mapped to 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spa3d.artifacts.predictions import PredictionRow
from spa3d.evaluation.rounding import round_figure
from spa3d.evaluation.scored_units import BLIND, Values, select_shown
from spa3d.metrics.intervals import mean_interval, paired_interval
from spa3d.runtime.rng import Key

Rows = Sequence[PredictionRow]


def summarize_measures(rows: Rows, *, bootstrap: int, key: Key) -> dict[str, Any]:
    """Summarize the figures of one set of questions.

    The keys are ``measures``, ``measure_ci95`` and ``blind_measures``; each is a mapping by name.

    Args:
        rows: of the set, of any views; without clean ones the figures are the blind ones.
        bootstrap: resamples behind each interval.
        key: key of the random numbers.

    """
    shown = _with_figures(select_shown(rows))
    means, intervals = dict[str, float](), dict[str, list[float]]()
    for name in _list_names(shown):
        members = [row for row in shown if name in row["measures"]]
        values = _values(members, name)
        low, span = _range(values)
        interval = mean_interval((values - low) / span, _groups(members), resamples=bootstrap, key=key)
        means[name] = round_figure(values.mean())
        intervals[name] = [round_figure(low + end * span) for end in interval]
    return {"measures": means, "measure_ci95": intervals, "blind_measures": average_measures(rows, BLIND)}


def average_measures(rows: Rows, view: str) -> dict[str, float]:
    """Average the figures of the answers under one view, by name."""
    shown = _with_figures([row for row in rows if row["view"] == view])
    return {
        name: round_figure(np.mean([row["measures"][name] for row in shown if name in row["measures"]]))
        for name in _list_names(shown)
    }


def compare_measures(before: Rows, after: Rows, *, bootstrap: int, key: Key) -> dict[str, dict[str, Any]]:
    """Compare the figures of one set, paired by question; mean change and interval by name.

    Only questions whose answers have the figure on both sides count.
    """
    old, new = ({row["id"]: row for row in _with_figures(select_shown(rows))} for rows in (before, after))
    changes = {}
    for name in _list_names([*old.values()]):
        both = sorted(old.keys() & new.keys())
        ids = [each for each in both if name in old[each]["measures"] and name in new[each]["measures"]]
        if ids:
            pairs = [_values([side[each] for each in ids], name) for side in (old, new)]
            moved, (_, span) = pairs[1] - pairs[0], _range(np.concatenate(pairs))
            groups = _groups([old[each] for each in ids])
            interval = paired_interval(moved / span, groups, resamples=bootstrap, key=key)
            changes[name] = {
                "score": round_figure(moved.mean()),
                "ci95": [round_figure(end * span) for end in interval],
            }
    return changes


def _list_names(rows: Rows) -> list[str]:
    """Figures that some answer has, in the order of their appearance."""
    return list(dict.fromkeys(name for row in rows for name in row["measures"]))


def _with_figures(rows: Rows) -> list[PredictionRow]:
    """Give each answer at least an empty mapping of figures."""
    return [{"measures": {}, **row} for row in rows]


def _values(rows: Rows, name: str) -> Values:
    return np.array([row["measures"][name] for row in rows], dtype=float)


def _groups(rows: Rows) -> np.ndarray:
    return np.array([row.get("group", row["record"]) for row in rows])


def _range(values: Values) -> tuple[float, float]:
    """Lower end and width of the range of the values, at least 0 to 1."""
    low, high = min(0.0, values.min()), max(1.0, values.max())
    return float(low), float(high - low)
