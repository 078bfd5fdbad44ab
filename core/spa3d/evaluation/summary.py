"""Figures of one benchmark in report.json, computed from prediction rows.

There are three sets of questions: the reported split (``test``), the split that breaks the usual patterns
(``counterfactual``), and minimal pairs (``flip``). A pair is right when both of its members are right. ``unseen`` is
the part of the reported split about objects whose facts together no training object has. Every score has a 95 %
interval over groups of look-alike records. Beside it stand the score of the same model without the cloud and the *text
floor*: the best score that text alone gives. Every paired difference has its minimum detectable effect, and McNemar's
test where all values are 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spa3d.artifacts.predictions import PredictionRow
from spa3d.evaluation.detections import compare_detections, measure_detections, summarize_detections
from spa3d.evaluation.hygiene import summarize_hygiene
from spa3d.evaluation.measures import average_measures, compare_measures, summarize_measures
from spa3d.evaluation.rounding import round_figure
from spa3d.evaluation.scored_units import (
    BLIND,
    CLEAN,
    MAJORITY,
    ScoredUnits,
    Values,
    other_sets,
    question_units,
    select_shown,
)
from spa3d.metrics.calibration import measure_calibration
from spa3d.metrics.intervals import mean_interval, paired_estimate, sign_flip_p
from spa3d.metrics.paired_tests import detectable_effect, mcnemar
from spa3d.runtime.rng import Key


def summarize(rows: Sequence[PredictionRow], *, bootstrap: int, seed: int, calibration: bool = False) -> dict[str, Any]:
    """Compute the figures of one benchmark before or after post-training.

    Keys are as in docs/report.md. A run without clouds (``--blind``) has no clean rows: its score is the blind score,
    and ``blind_only`` is true.

    Args:
        rows: every view of every question of all sets, in any order.
        bootstrap: resamples behind each interval.
        seed: seed of the resampling.
        calibration: whether to measure the calibration of the answers that were picked among options.

    Raises:
        ValueError: the reported split has no question, or a question lacks a view.

    """
    tests = [row for row in rows if row["set"] == "test"]
    if not tests:
        raise ValueError("no question of the reported split among the predictions")
    units, key = question_units(tests), ("score", seed)
    kinds = {kind: units.select(mask) for kind, mask in units.by_kind().items()}
    result = _score_with_majority(units, bootstrap, key) | {
        "invalid": round_figure(1 - units.valid.mean()),
        "records": len({row["record"] for row in tests}),
        "kinds": {kind: _score_with_majority(some, bootstrap, key) for kind, some in kinds.items()},
        **_summarize_figures(tests, bootstrap, key),
    }
    if units.clean is not None:
        result["gap"] = shift(units.blind, units.clean, units.groups, bootstrap=bootstrap, key=key)
        result["worth"] = shift(units.text_floor[1], units.clean, units.groups, bootstrap=bootstrap, key=key)
    else:
        result["blind_only"] = True
    if any(row["pair"] for row in tests):
        result["unit"] = "pair"
    hygiene = summarize_hygiene(tests)
    if hygiene is not None:
        result["hygiene"] = hygiene
    normalized = _length_normalized_score(tests)
    if normalized is not None:
        result["normalized"] = round_figure(normalized)
    result |= {name: _score(other, bootstrap, key) for name, other in _subsets(rows).items()}
    if calibration:
        _add_calibration(result, rows)
    return result


def change(
    before: Sequence[PredictionRow], after: Sequence[PredictionRow], *, bootstrap: int, seed: int
) -> dict[str, Any]:
    """Compute the changes by post-training, paired by question; keys as in docs/report.md.

    The interval resamples groups of records. The p value flips the signs of whole groups (two-sided).

    Raises:
        ValueError: `before` and `after` answer different questions.

    """
    key = ("change", seed)
    tests = [[row for row in rows if row["set"] == "test"] for rows in (before, after)]
    old, new = map(question_units, tests)
    result = _change(old, new, bootstrap, key) | {
        "measures": compare_measures(*tests, bootstrap=bootstrap, key=key)
        | compare_detections(*tests, bootstrap=bootstrap, key=key)
    }
    masks, old_sets, new_sets = old.by_kind(), _subsets(before), _subsets(after)
    if old_sets.keys() != new_sets.keys():
        raise ValueError(f"before has the sets {sorted(old_sets)}, after {sorted(new_sets)}")
    result["kinds"] = {
        kind: _change(old.select(mask), new.select(mask), bootstrap, key) for kind, mask in masks.items()
    }
    return result | {name: _change(old_sets[name], new_sets[name], bootstrap, key) for name in old_sets}


def summarize_views(rows: Sequence[PredictionRow], *, bootstrap: int, seed: int) -> dict[str, dict[str, Any]]:
    """Score the reported split under each view, with the paired difference to the clean view.

    Args:
        rows: as for `summarize`, of any views.
        bootstrap: resamples behind each interval.
        seed: seed of the resampling.

    """
    tests = [row for row in rows if row["set"] == "test"]
    units, key = question_units(tests), ("views", seed)
    summaries: dict[str, dict[str, Any]] = {}
    for view, values in units.values.items():
        if view == MAJORITY:
            continue
        interval = mean_interval(values, units.groups, resamples=bootstrap, key=key)
        summaries[view] = {
            "score": round_figure(values.mean()),
            "ci95": [round_figure(end) for end in interval],
            "chance": round_figure(units.chance.mean()),
            "n": len(units.ids),
        }
        if measures := average_measures(tests, view) | measure_detections(tests, view):
            summaries[view]["measures"] = measures
        if view != CLEAN and units.clean is not None:
            summaries[view]["change"] = shift(units.clean, values, units.groups, bootstrap=bootstrap, key=key)
    return summaries


def _subsets(rows: Sequence[PredictionRow]) -> dict[str, ScoredUnits]:
    """Build the units of all sets but the test set; ``unseen`` is a proper part of it."""
    tests = [row for row in rows if row["set"] == "test"]
    unseen = [row for row in tests if row.get("unseen")]
    part = {"unseen": question_units(unseen)} if 0 < len(unseen) < len(tests) else {}
    return part | other_sets(rows)


def _summarize_figures(rows: Sequence[PredictionRow], bootstrap: int, key: Key) -> dict[str, dict[str, Any]]:
    """Further figures: those of single answers, and how well the answers detect something."""
    measures = summarize_measures(rows, bootstrap=bootstrap, key=key)
    detections = summarize_detections(rows, bootstrap=bootstrap, key=key)
    return {name: {**measures[name], **detections[name]} for name in measures}


def _score_with_majority(units: ScoredUnits, bootstrap: int, key: Key) -> dict[str, Any]:
    return _score(units, bootstrap, key) | {"majority": round_figure(units.values[MAJORITY].mean())}


def _score(units: ScoredUnits, bootstrap: int, key: Key) -> dict[str, Any]:
    def interval(values: Values) -> list[float]:
        return [round_figure(end) for end in mean_interval(values, units.groups, resamples=bootstrap, key=key)]

    source, floor = units.text_floor
    return {
        "score": round_figure(units.score_values.mean()),
        "ci95": interval(units.score_values),
        "blind": round_figure(units.blind.mean()),
        "blind_ci95": interval(units.blind),
        "text_floor": {"score": round_figure(floor.mean()), "ci95": interval(floor), "source": source},
        "chance": round_figure(units.chance.mean()),
        "n": len(units.ids),
    }


def _change(old: ScoredUnits, new: ScoredUnits, bootstrap: int, key: Key) -> dict[str, Any]:
    if not np.array_equal(old.ids, new.ids):
        odd = sorted(set(old.ids.tolist()) ^ set(new.ids.tolist()))
        raise ValueError(f"before and after answered different questions: {len(odd)} differ, the first is {odd[0]!r}")
    moved = new.score_values - old.score_values
    return shift(old.score_values, new.score_values, old.groups, bootstrap=bootstrap, key=key) | {
        "blind": round_figure((new.blind - old.blind).mean()),
        "p": round_figure(sign_flip_p(moved, old.groups, resamples=bootstrap, key=key)),
    }


def shift(first: Values, second: Values, groups: np.ndarray, *, bootstrap: int, key: Key) -> dict[str, Any]:
    """Compute the mean of `second` minus `first` with its statistics; keys as in docs/report.md.

    Args:
        first: value of each question, ``(n,)``.
        second: other values of the same questions.
        groups: group of each question, the cluster of the interval.
        bootstrap: resamples behind the interval.
        key: key of the resampling.

    """
    differences = second - first
    (low, high), error = paired_estimate(differences, groups, resamples=bootstrap, key=key)
    figures: dict[str, Any] = {
        "score": round_figure(differences.mean()),
        "ci95": [round_figure(low), round_figure(high)],
    }
    figures["mde"] = round_figure(detectable_effect(error))
    discordant = mcnemar(first, second)
    if discordant:
        figures["mcnemar"] = discordant._asdict() | {"p": round_figure(discordant.p)}
    return figures


def _add_calibration(result: dict[str, Any], rows: Sequence[PredictionRow]) -> None:
    """Add ``calibration`` to the figures of a benchmark, its kinds and sets.

    Only answers whose options were scored have one. Minimal pairs have none, because a pair is no answer.
    """
    tests = [row for row in rows if row["set"] == "test"]
    parts = [(result, tests)]
    parts += [(figures, [row for row in tests if row["kind"] == kind]) for kind, figures in result["kinds"].items()]
    others = {"unseen": [row for row in tests if row.get("unseen")]}
    others["counterfactual"] = [row for row in rows if row["set"] == "counterfactual"]
    parts += [(result[name], some) for name, some in others.items() if name in result]
    for figures, some in parts:
        views = {"calibration": select_shown(some), "blind_calibration": [row for row in some if row["view"] == BLIND]}
        figures |= {name: measured for name, shown in views.items() if (measured := _calibrate(shown))}


def _calibrate(rows: Sequence[PredictionRow]) -> dict[str, Any] | None:
    """Calibration of answers under one view; None if no options were scored."""
    scored = [row for row in rows if row["option_logp"] and np.isfinite(np.max(row["option_logp"]))]
    if not scored:
        return None
    right = [row["options"].index(row["answer"]) for row in scored]
    ece, brier, n, bins = measure_calibration([row["option_logp"] for row in scored], right)
    listed = [[round_figure(each.confidence), round_figure(each.accuracy), each.n] for each in bins]
    return {"ece": round_figure(ece), "brier": round_figure(brier), "n": n, "bins": listed}


def _length_normalized_score(rows: Sequence[PredictionRow]) -> float | None:
    """Score of the option with the best log p per token; None if options were not scored."""
    clean = [row for row in rows if row["view"] == "clean"]
    if not clean or not all(row["options"] and row["option_logp"] for row in clean):
        return None
    per_token = [np.divide(row["option_logp"], row["option_lengths"]) for row in clean]
    picks = [row["options"][int(np.argmax(logp))] for row, logp in zip(clean, per_token, strict=True)]
    # An answer is not valid where log p is not a number.
    graded = [
        {**row, "value": float(row["valid"] and pick == row["answer"])} for row, pick in zip(clean, picks, strict=True)
    ]
    return float(question_units(graded).values[CLEAN].mean())
