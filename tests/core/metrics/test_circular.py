"""Circular evaluation: golden groups of two projects, and rotations by hand."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spa3d.errors import DataError
from spa3d.metrics.circular import (
    consistent_accuracy,
    group_3dsrbench,
    is_consistent,
    list_rotations,
    question_number,
    rotate_index,
    score_groups,
)
from spa3d.metrics.option_letters import extract_letter

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "circular.json").read_text(encoding="utf-8"))


def read(prediction: str, options: list[str], column: str) -> str | None:
    by_letter = dict(zip("ABCD", options, strict=False))
    if column == "lmms_mmbench_static":
        return extract_letter(prediction, by_letter, "lmms_mmbench") or extract_letter(
            prediction, by_letter, "lmms_mcq_extract"
        )
    return extract_letter(prediction, by_letter, "vlm_can_infer")


@pytest.mark.parametrize("column", [name for name in GOLDEN["accuracy"] if not name.startswith("vanilla")])
def test_is_consistent_equals_the_original(column: str) -> None:
    judge: Callable[[int], str] | None = (lambda index: column[-1]) if "judge_says" in column else None
    by_category: dict[str, list[bool]] = defaultdict(list)
    for group in GOLDEN["groups"]:
        letters = [read(prediction, options, column) for _, prediction, _, options in group["rows"]]
        right = is_consistent(letters, [answer for _, _, answer, _ in group["rows"]], judge)
        assert right == bool(group[column]), group["name"]
        for name in ("Overall", group["category"]):
            by_category[name].append(right)
    shares = {name: sum(rights) / len(rights) for name, rights in by_category.items()}
    assert shares == pytest.approx(GOLDEN["accuracy"][column])


def test_list_rotations_equals_the_passes_of_mmbench() -> None:
    for group in GOLDEN["groups"]:
        first, *_ = group["rows"]
        for steps, (row, rotated) in enumerate(zip(group["rows"], list_rotations(first[3]), strict=False)):
            assert row[3] == list(rotated)
            moved = rotate_index("ABCD".index(first[2]), steps, len(rotated))
            assert row[2] == "ABCD"[moved]
            assert question_number(row[0]) == group["index"]


@pytest.mark.parametrize("setting", GOLDEN["accuracy_3dsrbench"])
def test_consistent_accuracy_equals_3dsrbench(setting: Any) -> None:
    rows = GOLDEN["rows_3dsrbench"]
    hits = [extract_letter(prediction, {}, "lmms_3dsrbench") == answer for _, prediction, answer, _ in rows]
    assert hits == [bool(hit) for *_, hit in rows]
    groups = [group_3dsrbench(qid, setting) for qid, *_ in rows]
    assert consistent_accuracy(groups, hits) == pytest.approx(GOLDEN["accuracy_3dsrbench"][setting])


def test_score_groups_needs_every_answer() -> None:
    assert score_groups("aab", [True, False, True]) == {"a": False, "b": True}
    with pytest.raises(DataError, match="no answer"):
        consistent_accuracy([], [])
    with pytest.raises(DataError, match="0 letters for 1 passes"):
        is_consistent([], ["A"])
