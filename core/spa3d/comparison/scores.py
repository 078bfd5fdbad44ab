"""Paired means over seeds and questions, with intervals and p values.

All seeds of a row answer the same questions about the same clouds. So a question's differences are averaged over the
seeds first, and whole groups of records are resampled afterwards. The interval is about questions, of which there are
hundreds. Three seeds are too few for an interval; their smallest and largest value are shown instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from spa3d.comparison.document import BenchmarkSubset, Estimate, Score, Spread, TestedEstimate
from spa3d.comparison.results import BeforeAfter, CellResult, QuestionValues
from spa3d.evaluation.rounding import DIGITS
from spa3d.metrics.intervals import paired_estimate, sign_flip_p
from spa3d.metrics.paired_tests import McNemar, detectable_effect, mcnemar
from spa3d.runtime.rng import Key

BySeed = Mapping[int, CellResult]
PATTERNS = 100
"""Sign patterns per comparison of the family: enough for p below the smallest of Holm's bounds."""


def round_figure(value: float) -> float:
    """Round to the digits of compare.json."""
    return round(float(value), DIGITS)


def compute_spread(numbers: Sequence[float | None]) -> Spread | None:
    """Average the known numbers; None if there are none."""
    known = [number for number in numbers if number is not None]
    if not known:
        return None
    seeds = tuple(None if number is None else round_figure(number) for number in numbers)
    return Spread(mean=round_figure(float(np.mean(known))), seeds=seeds)


def average_over_seeds(columns: Sequence[QuestionValues]) -> QuestionValues:
    """Average each question over the seeds; only questions that all seeds have."""
    ids = reduce(
        lambda left, right: np.intersect1d(left, right, assume_unique=True), (column.ids for column in columns)
    )
    masks = [np.isin(column.ids, ids, assume_unique=True) for column in columns]
    values = np.mean([column.values[mask] for column, mask in zip(columns, masks, strict=True)], axis=0)
    return QuestionValues(ids, columns[0].groups[masks[0]], values)


def estimate_difference(
    columns: Sequence[QuestionValues | None], *, bootstrap: int, key: Key, reach: float = 1.0
) -> Estimate | None:
    """Estimate a mean difference over seeds; None if no seed has one.

    Args:
        columns: differences by question, one column per seed; None for a seed without them.
        bootstrap: resamples.
        key: key of the resampling.
        reach: the largest possible difference of one question.

    """
    known = [column for column in columns if column is not None and len(column.ids)]
    if not known:
        return None
    joint = average_over_seeds(known)
    if not len(joint.ids):
        return None
    (low, high), error = paired_estimate(joint.values / reach, joint.groups, resamples=bootstrap, key=key)
    return Estimate(
        mean=round_figure(joint.mean),
        seeds=tuple(None if column is None else round_figure(column.mean) for column in columns),
        ci95=(round_figure(low * reach), round_figure(high * reach)),
        mde=round_figure(detectable_effect(error) * reach),
    )


def score_row(cells: BySeed, subset: BenchmarkSubset, control: BySeed, *, bootstrap: int, family: int) -> Score | None:
    """Score a row on one set of questions; None if no seed answered them.

    Args:
        cells: the row's finished cells by seed.
        subset: benchmark and set.
        control: the finished cells of its control by seed; empty if it has none.
        bootstrap: resamples behind each interval.
        family: number of comparisons in the table, which sets the resolution of p. `correct_holm` corrects p later.

    """
    sides = [cell.sets.get(subset) for cell in cells.values()]
    known = [side for side in sides if side is not None]
    if not known:
        return None
    key = ("compare", *subset)

    def map_seeds(number: Any) -> Any:
        return [None if side is None else number(side) for side in sides]

    def estimate(column: Any, reach: float = 1.0) -> Estimate | None:
        return estimate_difference(map_seeds(column), bootstrap=bootstrap, key=key, reach=reach)

    return Score.model_validate(
        {
            "questions": len(known[0].after.ids),
            "chance": round_figure(known[0].after.chance.mean()),
            "before": compute_spread(map_seeds(lambda side: side.before.score_values.mean())),
            "after": compute_spread(map_seeds(lambda side: side.after.score_values.mean())),
            "blind": compute_spread(map_seeds(lambda side: side.after.blind.mean())),
            "text_floor": compute_spread(map_seeds(lambda side: side.after.text_floor[1].mean())),
            "change": estimate(BeforeAfter.change),
            "against_control": _compare_with_control(cells, control, subset, bootstrap=bootstrap, family=family),
            "gap": estimate(lambda side: side.gap(side.after)),
            "gap_change": estimate(BeforeAfter.gap_change, reach=2.0),
        }
    )


def _compare_with_control(
    cells: BySeed, control: BySeed, subset: BenchmarkSubset, *, bootstrap: int, family: int
) -> TestedEstimate | None:
    """Compare a row with its control, seed by seed; `p_holm` is not corrected yet."""
    columns: list[QuestionValues | None] = []
    tests: list[McNemar | None] = []
    for seed, cell in cells.items():
        row_side, control_side = cell.sets.get(subset), control[seed].sets.get(subset) if seed in control else None
        if row_side is None or control_side is None:
            columns.append(None)
        else:
            row_score, control_score = row_side.score(row_side.after), control_side.score(control_side.after)
            columns.append(row_score.subtract(control_score))
            tests.append(mcnemar(*control_score.align(row_score)))
    key = ("against control", *subset)
    estimate = estimate_difference(columns, bootstrap=bootstrap, key=key)
    if estimate is None:
        return None
    joint = average_over_seeds([column for column in columns if column is not None])
    p = round_figure(sign_flip_p(joint.values, joint.groups, resamples=max(bootstrap, PATTERNS * family), key=key))
    test = tests[0] if len(tests) == 1 else None
    rounded = test and test._asdict() | {"p": round_figure(test.p)}
    return TestedEstimate.model_validate({**dict(estimate), "p": p, "p_holm": p, "mcnemar": rounded})
