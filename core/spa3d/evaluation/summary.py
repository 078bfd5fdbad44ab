"""Figures of one benchmark in report.json, computed from prediction rows.

There are three sets of questions: the reported split (``test``), the split that breaks the usual patterns
(``counterfactual``), and minimal pairs (``flip``). A pair is right when both of its members are right. Every score
has a 95 % interval over records and, beside it, the score of the same model without the cloud.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from spa3d.artifacts.predictions import PredictionRow
from spa3d.metrics.intervals import mean_interval, paired_interval, sign_flip_p
from spa3d.runtime.rng import Key

DIGITS = 6
"""Decimals kept in report.json."""

Values = Float[np.ndarray, " n"]
CLEAN, BLIND = "clean", "blind"
"""Views of the scores and of the blind scores."""


def summarize(rows: Sequence[PredictionRow], *, bootstrap: int, seed: int) -> dict[str, Any]:
    """Compute the figures of one benchmark before or after post-training.

    Keys are as in docs/report.md. A run without clouds (``--blind``) has no clean rows: its score is the blind score,
    and ``blind_only`` is true.

    Args:
        rows: every view of every question of all sets, in any order.
        bootstrap: resamples behind each interval.
        seed: seed of the resampling.

    Raises:
        ValueError: the reported split has no question, or a question lacks a view.

    """
    tests = [row for row in rows if row["set"] == "test"]
    if not tests:
        raise ValueError("no question of the reported split among the predictions")
    units, key = _questions(tests), ("score", seed)
    majority = _majority(tests)
    result = _score(units, bootstrap, key) | {
        "majority": _round(majority.mean()),
        "invalid": _round(1 - units.valid.mean()),
        "records": len(set(units.records)),
        "kinds": {
            kind: _score(units.select(mask), bootstrap, key) | {"majority": _round(majority[mask].mean())}
            for kind, mask in units.by_kind().items()
        },
    }
    if units.clean is not None:
        result["gap"] = _shift(units.clean - units.blind, units.records, bootstrap, key)
    else:
        result["blind_only"] = True
    normalized = _length_normalized_score(tests)
    if normalized is not None:
        result["normalized"] = _round(normalized)
    return result | {name: _score(other, bootstrap, key) for name, other in _other_sets(rows).items()}


def change(
    before: Sequence[PredictionRow], after: Sequence[PredictionRow], *, bootstrap: int, seed: int
) -> dict[str, Any]:
    """Compute the changes by post-training, paired by question; keys as in docs/report.md.

    The interval resamples records. The p value flips the signs of whole records (two-sided).

    Raises:
        ValueError: `before` and `after` answer different questions.

    """
    key = ("change", seed)
    old, new = (_questions([row for row in rows if row["set"] == "test"]) for rows in (before, after))
    result = _change(old, new, bootstrap, key)
    masks, old_sets, new_sets = old.by_kind(), _other_sets(before), _other_sets(after)
    if old_sets.keys() != new_sets.keys():
        raise ValueError(f"before has the sets {sorted(old_sets)}, after {sorted(new_sets)}")
    result["kinds"] = {
        kind: _change(old.select(mask), new.select(mask), bootstrap, key) for kind, mask in masks.items()
    }
    return result | {name: _change(old_sets[name], new_sets[name], bootstrap, key) for name in old_sets}


def unit_sets(rows: Sequence[PredictionRow]) -> dict[str, ScoredUnits]:
    """Collect the scored units of each non-empty set: ``test``, ``counterfactual``, ``flip``.

    Args:
        rows: as for `summarize`.

    Raises:
        ValueError: a question lacks a view, or a pair is incomplete.

    """
    tests = [row for row in rows if row["set"] == "test"]
    return ({"test": _questions(tests)} if tests else {}) | _other_sets(rows)


@dataclass(frozen=True)
class ScoredUnits:
    """Units of one score: questions or minimal pairs, sorted by id.

    Attributes:
        ids: id of each unit, ``(n,)``; the other arrays have the same length.
        records: record of each unit, the cluster of the interval.
        kinds: kind of question of each unit.
        values: view to the value of each unit.
        chance: expected value of a random answer.
        valid: 1 where the answer could be read, otherwise 0.

    """

    ids: np.ndarray
    records: np.ndarray
    kinds: np.ndarray
    values: Mapping[str, Values]
    chance: Values
    valid: Values

    @property
    def clean(self) -> Values | None:
        """Values with the cloud; None in a run without clouds."""
        return self.values.get(CLEAN)

    @property
    def blind(self) -> Values:
        """Values without the cloud."""
        return self.values[BLIND]

    @property
    def score_values(self) -> Values:
        """Values behind the score: with the cloud, or the blind ones in a run without clouds."""
        return self.blind if self.clean is None else self.clean

    def select(self, mask: np.ndarray) -> ScoredUnits:
        """Select the units under `mask`, boolean ``(n,)``."""
        return ScoredUnits(
            ids=self.ids[mask],
            records=self.records[mask],
            kinds=self.kinds[mask],
            values={view: values[mask] for view, values in self.values.items()},
            chance=self.chance[mask],
            valid=self.valid[mask],
        )

    def by_kind(self) -> dict[str, np.ndarray]:
        """Mask of each kind, in the order of the names."""
        return {str(kind): self.kinds == kind for kind in np.unique(self.kinds)}


def summarize_views(rows: Sequence[PredictionRow], *, bootstrap: int, seed: int) -> dict[str, dict[str, Any]]:
    """Score the reported split under each view, with the paired difference to the clean view.

    Args:
        rows: as for `summarize`, of any views.
        bootstrap: resamples behind each interval.
        seed: seed of the resampling.

    """
    units, key = _questions([row for row in rows if row["set"] == "test"]), ("views", seed)
    summaries: dict[str, dict[str, Any]] = {}
    for view, values in units.values.items():
        interval = mean_interval(values, units.records, resamples=bootstrap, key=key)
        summaries[view] = {
            "score": _round(values.mean()),
            "ci95": [_round(end) for end in interval],
            "chance": _round(units.chance.mean()),
            "n": len(units.ids),
        }
        if view != CLEAN and units.clean is not None:
            summaries[view]["change"] = _shift(values - units.clean, units.records, bootstrap, key)
    return summaries


def _questions(rows: Sequence[PredictionRow]) -> ScoredUnits:
    """Build one unit per question."""
    views: dict[str, dict[str, PredictionRow]] = {}
    for row in rows:
        views.setdefault(row["view"], {})[row["id"]] = row
    shown = views.get(CLEAN) or next(iter(views.values()))
    for by_id in views.values():
        if by_id.keys() != shown.keys():
            odd = sorted(by_id.keys() ^ shown.keys())
            raise ValueError(f"{len(odd)} questions have rows in one view only, the first is {odd[0]!r}")
    ids = sorted(shown)
    first = [shown[name] for name in ids]
    return ScoredUnits(
        ids=np.array(ids),
        records=np.array([row["record"] for row in first]),
        kinds=np.array([row["kind"] for row in first]),
        values={view: np.array([by_id[name]["value"] for name in ids]) for view, by_id in views.items()},
        chance=np.array([row["chance"] for row in first]),
        valid=np.array([float(row["valid"]) for row in first]),
    )


def _pairs(rows: Sequence[PredictionRow]) -> ScoredUnits:
    """Build one unit per minimal pair: right if both members are; the chance is the product.

    The cluster is the first of the two record names, so that two pairs of one object stay in one cluster.
    """
    pair_of = {row["id"]: row["pair"] or "" for row in rows}
    members = _questions(rows)
    by_pair: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(members.ids):
        by_pair[pair_of[name]].append(index)
    ids = sorted(by_pair)
    odd = [name for name in ids if len(by_pair[name]) != 2]
    if odd:
        raise ValueError(f"pair {odd[0]!r} has {len(by_pair[odd[0]])} members instead of 2")
    both = np.array([by_pair[name] for name in ids])  # (pairs, 2)
    return ScoredUnits(
        ids=np.array(ids),
        records=np.sort(members.records[both], axis=1)[:, 0],
        kinds=members.kinds[both[:, 0]],
        values={view: (values[both] == 1).all(axis=1).astype(float) for view, values in members.values.items()},
        chance=members.chance[both].prod(axis=1),
        valid=members.valid[both].min(axis=1),
    )


def _other_sets(rows: Sequence[PredictionRow]) -> dict[str, ScoredUnits]:
    """Build the units of ``counterfactual`` and ``flip``; empty sets are left out."""
    counterfactual = [row for row in rows if row["set"] == "counterfactual"]
    flip = [row for row in rows if row["set"] == "flip"]
    return ({"counterfactual": _questions(counterfactual)} if counterfactual else {}) | (
        {"flip": _pairs(flip)} if flip else {}
    )


def _score(units: ScoredUnits, bootstrap: int, key: Key) -> dict[str, Any]:
    def interval(values: Values) -> list[float]:
        return [_round(end) for end in mean_interval(values, units.records, resamples=bootstrap, key=key)]

    return {
        "score": _round(units.score_values.mean()),
        "ci95": interval(units.score_values),
        "blind": _round(units.blind.mean()),
        "blind_ci95": interval(units.blind),
        "chance": _round(units.chance.mean()),
        "n": len(units.ids),
    }


def _change(old: ScoredUnits, new: ScoredUnits, bootstrap: int, key: Key) -> dict[str, Any]:
    if not np.array_equal(old.ids, new.ids):
        odd = sorted(set(old.ids.tolist()) ^ set(new.ids.tolist()))
        raise ValueError(f"before and after answered different questions: {len(odd)} differ, the first is {odd[0]!r}")
    moved = new.score_values - old.score_values
    return _shift(moved, old.records, bootstrap, key) | {
        "blind": _round((new.blind - old.blind).mean()),
        "p": _round(sign_flip_p(moved, old.records, resamples=bootstrap, key=key)),
    }


def _shift(differences: Values, records: np.ndarray, bootstrap: int, key: Key) -> dict[str, Any]:
    """Mean difference with its paired interval."""
    low, high = paired_interval(differences, records, resamples=bootstrap, key=key)
    return {"score": _round(differences.mean()), "ci95": [_round(low), _round(high)]}


def _majority(rows: Sequence[PredictionRow]) -> Values:
    """Value of the most frequent answer of the kind, per question sorted by id.

    Only the options of a question count; 1 where that answer is right, otherwise 0.
    """
    questions: Mapping[str, PredictionRow] = {row["id"]: row for row in rows}
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for row in questions.values():
        answers[row["kind"]][row["answer"]] += 1

    def pick(row: PredictionRow) -> str:
        frequency = answers[row["kind"]]
        return max(row["options"] or sorted(frequency), key=lambda option: frequency[option])  # ties to the first

    return np.array([float(pick(questions[name]) == questions[name]["answer"]) for name in sorted(questions)])


def _length_normalized_score(rows: Sequence[PredictionRow]) -> float | None:
    """Score of the option with the best log p per token; None if options were not scored."""
    clean = [row for row in rows if row["view"] == "clean"]
    if not clean or not all(row["options"] and row["option_logp"] for row in clean):
        return None
    right = [
        (row["options"] or ())[int(np.argmax(np.divide(row["option_logp"], row["option_lengths"])))] == row["answer"]
        for row in clean
    ]
    return float(np.mean(right))


def _round(value: float) -> float:
    return round(float(value), DIGITS)
