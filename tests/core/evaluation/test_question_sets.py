"""Questions that break the contract of a benchmark are refused before the first is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from spa3d.contracts.benchmark import Question
from spa3d.errors import PluginError
from spa3d.evaluation.question_sets import collect_questions, make_unseen_test


def collect(benchmark: Any, dataset: Any) -> list[str]:
    return [item.question.id for item in collect_questions(benchmark, dataset, split="test", seed=0, limit=0)]


def test_collect_questions_of_a_benchmark_that_keeps_its_contract(sides: Any, toy_dataset: Any) -> None:
    assert collect(sides, toy_dataset) == [f"test-{number}/side" for number in range(8)]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda q: replace(q, id="test-1/side"), "question 'test-1/side': another question has this id"),
        (lambda q: replace(q, id=7), "question 7: id is 7 and no text"),
        (lambda q: replace(q, prompt=None), "prompt is None and no text"),
        (lambda q: replace(q, answer="above"), "its answer 'above' is not among its options 'left', 'right'"),
        (lambda q: replace(q, options=()), "it has no options; None lets the model answer freely"),
        (lambda q: replace(q, options="right"), "its options are 'right' and no texts"),
        (lambda q: replace(q, options=(1, 2)), r"its options are \(1, 2\) and no texts"),
        (lambda q: replace(q, options=("right", "right")), "two of its options are the same: 'right', 'right'"),
        (lambda q: "Which side?", "expected a sequence of spa3d.Question"),
    ],
)
def test_collect_questions_names_benchmark_and_question(
    sides: Any, toy_dataset: Any, spoil: Callable[[Question], Any], message: str
) -> None:
    sides.spoil = spoil
    with pytest.raises(PluginError, match=rf"SideBenchmark \(.*conftest.py\): .*{message}"):
        collect(sides, toy_dataset)


@pytest.mark.parametrize("level", [-0.1, 1.5, float("nan"), None, True])
def test_collect_questions_refuses_chances_outside_0_to_1(sides: Any, toy_dataset: Any, level: object) -> None:
    sides.level = level
    with pytest.raises(PluginError, match=rf"question 'test-0/side': its chance is {level!r}; it must lie in 0..1"):
        collect(sides, toy_dataset)


def test_collect_questions_checks_minimal_pairs(sides: Any, toy_dataset: Any) -> None:
    one, two, *_ = sides.questions(toy_dataset, "test", 0)
    for pairs, message in (
        ([one, two], "sequence of pairs"),
        ([(one, one)], "another question has this id"),
        (None, "None"),
    ):
        sides.pairs = lambda *_, pairs=pairs: pairs
        with pytest.raises(PluginError, match=message):
            collect(sides, toy_dataset)


def test_unseen_questions_are_about_objects_with_other_facts_than_any_training_object(
    sides: Any, toy_dataset: Any
) -> None:
    of_split = toy_dataset.records

    def records(split: str) -> Any:  # training objects are on the left only
        return of_split(split)[1::2] if split == "train" else of_split(split)

    toy_dataset.records = records
    try:
        items = collect_questions(
            sides, toy_dataset, split="test", seed=0, limit=0, is_unseen=make_unseen_test(toy_dataset)
        )
    finally:
        del toy_dataset.records
    assert {item.question.answer for item in items if item.unseen} == {"right"}
    assert {item.question.answer for item in items if not item.unseen} == {"left"}


def pair_up(sides: Any, dataset: Any, *pairs: tuple[int, int]) -> None:
    """Let the benchmark ask in pairs of records, by number."""
    single = sides.questions(dataset, "test", 0)
    paired = [
        replace(single[number], id=f"{name}-{number}", pair=str(name))
        for name, pair in enumerate(pairs)
        for number in pair
    ]
    sides.questions = lambda *_: paired


def test_collect_questions_keeps_both_questions_of_a_pair(sides: Any, toy_dataset: Any) -> None:
    pair_up(sides, toy_dataset, (0, 1), (2, 3), (4, 5))
    items = collect_questions(sides, toy_dataset, split="test", seed=0, limit=2)
    assert len(items) == 4
    assert Counter(item.pair_id for item in items).most_common()[-1][1] == 2


def test_collect_questions_joins_the_groups_that_share_a_pair(sides: Any, toy_dataset: Any) -> None:
    pair_up(sides, toy_dataset, (4, 2), (6, 7), (2, 3))
    items = collect_questions(sides, toy_dataset, split="test", seed=0, limit=0)
    groups = {item.question.record_id: item.group for item in items}
    first, second = (toy_dataset.record(f"test-{number}").group for number in (2, 6))
    assert groups == {f"test-{number}": first for number in (2, 3, 4)} | {f"test-{n}": second for n in (6, 7)}


def test_collect_questions_refuses_a_pair_of_one(sides: Any, toy_dataset: Any) -> None:
    sides.spoil = lambda question: replace(question, pair="lonely")
    with pytest.raises(PluginError, match="pair 'lonely' has 1 questions; a pair has two"):
        collect(sides, toy_dataset)
