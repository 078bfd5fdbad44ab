"""Values of one score by view: per question, or per pair of questions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spa3d.artifacts.predictions import PredictionRow
from spa3d.metrics.text_floor import TEXT_TABLE, TRAINED_BLIND

Values = Float[np.ndarray, " n"]
CLEAN, BLIND = "clean", "blind"
"""Views of the scores and of the blind scores."""
MAJORITY = "majority"
"""The most frequent answer to a kind of question, as if it were a view."""


@dataclass(frozen=True)
class ScoredUnits:
    """Units of one score: questions or pairs of questions, sorted by id.

    Attributes:
        ids: id of each unit, ``(n,)``; the other arrays have the same length.
        groups: group of look-alike records of each unit, the cluster of the interval.
        kinds: kind of question of each unit.
        values: view to the value of each unit; ``majority`` among them is the usual answer to the kind.
        chance: expected value of a random answer.
        valid: 1 where the answer could be read, otherwise 0.

    """

    ids: np.ndarray
    groups: np.ndarray
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

    @property
    def text_floor(self) -> tuple[str, Values]:
        """The best answers that see no cloud, by mean: their source and their values."""
        sources = [name for name in (BLIND, TRAINED_BLIND, TEXT_TABLE, MAJORITY) if name in self.values]
        best = max(sources, key=lambda name: self.values[name].mean())
        return best, self.values[best]

    def select(self, mask: np.ndarray) -> ScoredUnits:
        """Select the units under `mask`, boolean ``(n,)``."""
        return ScoredUnits(
            ids=self.ids[mask],
            groups=self.groups[mask],
            kinds=self.kinds[mask],
            values={view: values[mask] for view, values in self.values.items()},
            chance=self.chance[mask],
            valid=self.valid[mask],
        )

    def by_kind(self) -> dict[str, np.ndarray]:
        """Mask of each kind, in the order of the names."""
        return {str(kind): self.kinds == kind for kind in np.unique(self.kinds)}


def select_shown(rows: Sequence[PredictionRow]) -> list[PredictionRow]:
    """Select the rows behind a score: with the cloud, or the blind ones of a run without clouds."""
    return [row for row in rows if row["view"] == CLEAN] or [row for row in rows if row["view"] == BLIND]


def unit_sets(rows: Sequence[PredictionRow]) -> dict[str, ScoredUnits]:
    """Collect the scored units of each non-empty set: ``test``, ``counterfactual``, ``flip``.

    Args:
        rows: as for `summarize`.

    Raises:
        ValueError: a question lacks a view, or a pair is incomplete.

    """
    tests = [row for row in rows if row["set"] == "test"]
    return ({"test": question_units(tests)} if tests else {}) | other_sets(rows)


def other_sets(rows: Sequence[PredictionRow]) -> dict[str, ScoredUnits]:
    """Build the units of ``counterfactual`` and ``flip``; empty sets are left out."""
    counterfactual = [row for row in rows if row["set"] == "counterfactual"]
    flip = [row for row in rows if row["set"] == "flip"]
    return ({"counterfactual": question_units(counterfactual)} if counterfactual else {}) | (
        {"flip": question_units(flip)} if flip else {}
    )


def question_units(rows: Sequence[PredictionRow]) -> ScoredUnits:
    """Build one unit per question, or per pair where the rows have pairs.

    Raises:
        ValueError: a question lacks a view, or a pair is incomplete.

    """
    members = _question_values(rows)
    pair_of = {row["id"]: row["pair"] for row in rows if row.get("pair")}
    return _join_pairs(members, pair_of) if pair_of else members


def _question_values(rows: Sequence[PredictionRow]) -> ScoredUnits:
    """Build one unit per question."""
    views: dict[str, dict[str, PredictionRow]] = {}
    for row in rows:
        views.setdefault(row["view"], {})[row["id"]] = row
    shown = views.get(CLEAN) or views.get(BLIND) or next(iter(views.values()))
    for by_id in views.values():
        if by_id.keys() != shown.keys():
            odd = sorted(by_id.keys() ^ shown.keys())
            raise ValueError(f"{len(odd)} questions have rows in one view only, the first is {odd[0]!r}")
    ids = sorted(shown)
    first = [shown[name] for name in ids]
    return ScoredUnits(
        ids=np.array(ids),
        groups=np.array([row.get("group", row["record"]) for row in first]),
        kinds=np.array([row["kind"] for row in first]),
        values={view: np.array([by_id[name]["value"] for name in ids]) for view, by_id in views.items()}
        | {MAJORITY: _majority(first)},
        chance=np.array([row["chance"] for row in first]),
        valid=np.array([float(row["valid"]) for row in first]),
    )


def _join_pairs(members: ScoredUnits, pair_of: Mapping[str, str]) -> ScoredUnits:
    """Join the members of each pair: right if both are; the chance is the product.

    The cluster is the first of the two group names, so that two pairs of one object stay in one cluster.

    Args:
        members: one unit per question.
        pair_of: name of the pair of each question, by id; a question without one stays alone.

    """
    by_pair: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(members.ids):
        by_pair[pair_of.get(name, name)].append(index)
    ids = sorted(by_pair)
    odd = [name for name in ids if len(by_pair[name]) != 1 + (members.ids[by_pair[name][0]] in pair_of)]
    if odd:
        raise ValueError(f"pair {odd[0]!r} has {len(by_pair[odd[0]])} members instead of 2")
    both = np.array([(by_pair[name][0], by_pair[name][-1]) for name in ids])  # (units, 2), twice the same if alone
    alone = both[:, 0] == both[:, 1]
    chance = members.chance[both]
    return ScoredUnits(
        ids=np.array(ids),
        groups=np.sort(members.groups[both], axis=1)[:, 0],
        kinds=members.kinds[both[:, 0]],
        values={
            view: np.where(alone, values[both[:, 0]], (values[both] == 1).all(axis=1))
            for view, values in members.values.items()
        },
        chance=np.where(alone, chance[:, 0], chance.prod(axis=1)),
        valid=members.valid[both].min(axis=1),
    )


def _majority(rows: Sequence[PredictionRow]) -> Values:
    """Value of the most frequent answer of the kind, per row.

    Only the options of a question count; 1 where that answer is right, otherwise 0.
    """
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        answers[row["kind"]][row["answer"]] += 1

    def pick_usual(row: PredictionRow) -> str:
        frequency = answers[row["kind"]]
        return max(row["options"] or sorted(frequency), key=lambda option: frequency[option])  # ties to the first

    return np.array([float(pick_usual(row) == row["answer"]) for row in rows])
