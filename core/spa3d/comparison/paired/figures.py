"""Figures of two models on matched questions: paired differences and flipped questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from spa3d.artifacts.predictions import PredictionRow
from spa3d.comparison.paired.document import BenchmarkDifference
from spa3d.comparison.paired.matching import MatchedRows
from spa3d.comparison.scores import round_figure
from spa3d.evaluation.scored_units import BLIND, CLEAN, ScoredUnits, question_units, unit_sets
from spa3d.evaluation.summary import shift
from spa3d.metrics.intervals import sign_flip_p
from spa3d.runtime.rng import Key


def compare_rows(matched: MatchedRows, *, bootstrap: int, seed: int, examples: int) -> BenchmarkDifference:
    """Compare the answers to one benchmark.

    Args:
        matched: rows of both models about the same questions.
        bootstrap: resamples behind each interval.
        seed: seed of the resampling.
        examples: most flipped questions with texts.

    Raises:
        ValueError: a question lacks a view.

    """
    key = ("diff", seed)
    first, second = _collect_sets(matched.first), _collect_sets(matched.second)
    kinds = {}
    if "test" in first:
        masks = first["test"].by_kind()
        kinds = {kind: (first["test"].select(mask), second["test"].select(mask)) for kind, mask in masks.items()}
    flips = _list_flips(matched.first, matched.second)
    gained = [flip for flip in flips if flip["second_value"] > flip["first_value"]]
    lost = [flip for flip in flips if flip["second_value"] < flip["first_value"]]
    mixed = [flip for flip in chain.from_iterable(zip_longest(gained, lost)) if flip]
    return BenchmarkDifference.model_validate(
        {
            "sets": {name: _compare_units(first[name], second[name], bootstrap, key) for name in first},
            "kinds": {kind: _compare_units(*sides, bootstrap, key) for kind, sides in kinds.items()},
            "gained": [flip["id"] for flip in gained],
            "lost": [flip["id"] for flip in lost],
            "examples": mixed[:examples],
            "only_first": matched.only_first,
            "only_second": matched.only_second,
            "changed": matched.changed,
        }
    )


def _collect_sets(rows: Sequence[PredictionRow]) -> dict[str, ScoredUnits]:
    """Collect the units of each set; ``unseen`` is a proper part of ``test``."""
    sets = unit_sets(rows)
    tests = [row for row in rows if row["set"] == "test"]
    unseen = [row for row in tests if row.get("unseen")]
    part = {"unseen": question_units(unseen)} if 0 < len(unseen) < len(tests) else {}
    order = ("test", "unseen", "counterfactual", "flip")
    return {name: units for name in order if (units := (sets | part).get(name))}


def _compare_units(first: ScoredUnits, second: ScoredUnits, bootstrap: int, key: Key) -> dict[str, Any]:
    """Compare one set of units, which are in the same order on both sides."""
    old, new, groups = first.score_values, second.score_values, first.groups
    difference = shift(old, new, groups, bootstrap=bootstrap, key=key)
    difference["p"] = round_figure(sign_flip_p(new - old, groups, resamples=bootstrap, key=key))
    old_blind, new_blind = first.values.get(BLIND), second.values.get(BLIND)
    if old_blind is not None and new_blind is not None:
        difference["blind"] = shift(old_blind, new_blind, groups, bootstrap=bootstrap, key=key)
    return {
        "n": len(first.ids),
        "groups": len(np.unique(groups)),
        "chance": round_figure(first.chance.mean()),
        "first": round_figure(old.mean()),
        "second": round_figure(new.mean()),
        "first_blind": None if old_blind is None else round_figure(old_blind.mean()),
        "second_blind": None if new_blind is None else round_figure(new_blind.mean()),
        "difference": difference,
    }


def _list_flips(first: Sequence[PredictionRow], second: Sequence[PredictionRow]) -> list[dict[str, Any]]:
    """List the questions with another value, the largest differences first, then by id."""
    old, new = _index_shown(first), _index_shown(second)
    flips = [
        {name: row[name] for name in ("id", "record", "set", "kind", "prompt", "answer")}
        | {"first_text": row["text"], "second_text": new[key]["text"]}
        | {"first_value": row["value"], "second_value": new[key]["value"]}
        for key, row in old.items()
        if key in new and row["value"] != new[key]["value"]
    ]
    return sorted(flips, key=lambda flip: (-abs(flip["second_value"] - flip["first_value"]), flip["set"], flip["id"]))


def _index_shown(rows: Sequence[PredictionRow]) -> Mapping[tuple[str, str], PredictionRow]:
    """Rows behind the score by set and id: with the cloud, or the blind ones without any."""
    view = CLEAN if any(row["view"] == CLEAN for row in rows) else BLIND
    return {(row["set"], row["id"]): row for row in rows if row["view"] == view}
