"""Paired means over seeds and questions, with intervals and p values.

Every seed of a row asks the same questions about the same clouds. So a question's differences are averaged over the
seeds first, and whole records are drawn afterwards: the interval speaks of questions, of which there are hundreds. Of
seeds there are three, and no interval of three numbers is worth printing; their spread stands beside it.

Source of the correction: Holm, Scandinavian Journal of Statistics 6, 1979.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from spa3d.comparison.document import BenchmarkSubset, Estimate, Score, Spread, Tested
from spa3d.comparison.results import BeforeAfter, CellResult, QuestionValues
from spa3d.evaluation.summary import DIGITS
from spa3d.metrics.intervals import paired_interval, sign_flip_p
from spa3d.runtime.rng import Key

BySeed = Mapping[int, CellResult]
PATTERNS = 100
"""Sign patterns per comparison of the family, so that even the strictest of Holm's bounds can be met."""


def round_figure(value: float) -> float:
    """Round to the digits of compare.json."""
    return round(float(value), DIGITS)


def compute_spread(numbers: Sequence[float | None]) -> Spread | None:
    """Average the known numbers; None where there is none."""
    known = [number for number in numbers if number is not None]
    if not known:
        return None
    seeds = tuple(None if number is None else round_figure(number) for number in numbers)
    return Spread(mean=round_figure(float(np.mean(known))), seeds=seeds)


def average_over_seeds(columns: Sequence[QuestionValues]) -> QuestionValues:
    """Average each question over the seeds, for the questions of all seeds."""
    ids = reduce(lambda left, right: np.intersect1d(left, right, assume_unique=True), (one.ids for one in columns))
    kept = [np.isin(one.ids, ids, assume_unique=True) for one in columns]
    values = np.mean([one.values[mask] for one, mask in zip(columns, kept, strict=True)], axis=0)
    return QuestionValues(ids, columns[0].records[kept[0]], values)


def estimate_difference(
    columns: Sequence[QuestionValues | None], *, bootstrap: int, key: Key, reach: float = 1.0
) -> Estimate | None:
    """Estimate a mean difference over seeds; None where no seed has it.

    Args:
        columns: one per seed, None where a seed lacks it.
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
    low, high = paired_interval(joint.values / reach, joint.records, resamples=bootstrap, key=key)
    return Estimate(
        mean=round_figure(joint.mean),
        seeds=tuple(None if column is None else round_figure(column.mean) for column in columns),
        ci95=(round_figure(low * reach), round_figure(high * reach)),
    )


def score_row(cells: BySeed, subset: BenchmarkSubset, control: BySeed, *, bootstrap: int, family: int) -> Score | None:
    """Score a row on one set of questions; None where no seed was asked them.

    Args:
        cells: the row's finished cells by seed.
        subset: benchmark and set.
        control: the finished cells of its control by seed; empty where it has none.
        bootstrap: resamples behind each interval.
        family: comparisons in the whole table, for the fineness of p; `correct_holm` fills in Holm's.

    """
    sides = [cell.sets.get(subset) for cell in cells.values()]
    there = [side for side in sides if side is not None]
    if not there:
        return None
    key = ("compare", *subset)

    def each(number: Any) -> Any:
        return [None if side is None else number(side) for side in sides]

    def estimated(column: Any, reach: float = 1.0) -> Estimate | None:
        return estimate_difference(each(column), bootstrap=bootstrap, key=key, reach=reach)

    return Score.model_validate(
        {
            "questions": len(there[0].after.ids),
            "chance": round_figure(there[0].after.chance.mean()),
            "before": compute_spread(each(lambda side: side.before.scored.mean())),
            "after": compute_spread(each(lambda side: side.after.scored.mean())),
            "blind": compute_spread(each(lambda side: side.after.blind.mean())),
            "change": estimated(BeforeAfter.change),
            "against_control": _against(cells, control, subset, bootstrap=bootstrap, family=family),
            "gap": estimated(lambda side: side.gap(side.after)),
            "gap_change": estimated(BeforeAfter.gap_change, reach=2.0),
        }
    )


def _against(cells: BySeed, control: BySeed, subset: BenchmarkSubset, *, bootstrap: int, family: int) -> Tested | None:
    """Compare the row with its control, seed by seed; Holm's p is still the plain one."""
    columns: list[QuestionValues | None] = []
    for seed, cell in cells.items():
        mine, theirs = cell.sets.get(subset), control[seed].sets.get(subset) if seed in control else None
        both = mine is not None and theirs is not None
        columns.append(mine.score(mine.after).minus(theirs.score(theirs.after)) if both else None)  # type: ignore[union-attr]
    key = ("against control", *subset)
    found = estimate_difference(columns, bootstrap=bootstrap, key=key)
    if found is None:
        return None
    joint = average_over_seeds([column for column in columns if column is not None])
    p = round_figure(sign_flip_p(joint.values, joint.records, resamples=max(bootstrap, PATTERNS * family), key=key))
    return Tested(**dict(found), p=p, p_holm=p)


def correct_holm(values: Sequence[float]) -> list[float]:
    """Adjust p values by Holm's method, which holds the family-wise error rate at alpha."""
    order = np.argsort(values, kind="stable")
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = round_figure(highest)
    return adjusted
