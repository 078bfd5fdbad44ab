"""Rows of an evaluation: verdicts, torn files, and the table of training answers."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from spa3d.contracts.benchmark import Prediction, Question, Verdict
from spa3d.errors import PluginError
from spa3d.evaluation.evaluate import (
    are_answers,
    count_unscored,
    evaluate_benchmark,
    evaluate_text_table,
    make_answer_table,
)
from spa3d.evaluation.question_sets import EvaluationItem, collect_questions
from spa3d.evaluation.summary import summarize
from spa3d.metrics.text_floor import AnswerTable
from spa3d.registry.create import create

VIEWS = ("clean", "blind")


class Fixed:
    """Predictor with the same log p of the options for every question."""

    def __init__(self, *logp: float) -> None:
        self.logp = logp

    def answer(self, questions: Sequence[Question], view: str, advance: Any) -> list[Prediction]:
        return [Prediction((question.options or ())[0], self.logp, (1, 1)) for question in questions]


def measure(sides: Any, dataset: Any, *logp: float) -> tuple[list[EvaluationItem], list[dict[str, Any]]]:
    items = [EvaluationItem(question, question.record_id, "test") for question in sides.questions(dataset, "test", 0)]
    predictor: Any = Fixed(*logp)
    return items, evaluate_benchmark(predictor, sides, items, VIEWS, split="test", advance=lambda units: None)


@pytest.mark.parametrize(
    "verdict",
    [Verdict(1.5), Verdict(-0.1), Verdict(math.nan), Verdict(True), Verdict(1.0, valid=None), 1.0],  # type: ignore[arg-type]
)
def test_evaluate_benchmark_names_the_question_of_a_broken_verdict(
    sides: Any, toy_dataset: Any, verdict: object
) -> None:
    sides.verdict = verdict
    with pytest.raises(
        PluginError, match=r"SideBenchmark \(.*\): question 'test-0/side': its verdict is .* a value in 0..1"
    ):
        measure(sides, toy_dataset, -1.0, -2.0)


@pytest.mark.parametrize("logp", [(math.nan, -1.0), (-1.0, math.nan), (-math.inf, -math.inf)])
def test_evaluate_benchmark_picks_no_option_without_numbers(
    sides: Any, toy_dataset: Any, logp: tuple[float, float]
) -> None:
    _, rows = measure(sides, toy_dataset, *logp)
    assert {(row["text"], row["value"], row["valid"]) for row in rows} == {("", 0.0, False)}
    assert count_unscored(rows) == len(rows) == 16
    figures = summarize(rows, bootstrap=100, seed=0)
    assert (figures["score"], figures["invalid"], figures["normalized"]) == (0, 1, 0)


def test_evaluate_benchmark_compares_an_impossible_option(sides: Any, toy_dataset: Any) -> None:
    _, rows = measure(sides, toy_dataset, -1.0, -math.inf)
    assert count_unscored(rows) == 0
    assert {row["text"] for row in rows} == {"left"}
    assert sum(row["value"] for row in rows) == 8


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: [],
        lambda rows: rows[:-1],
        lambda rows: [*rows, rows[0]],
        lambda rows: [*rows[:-1], rows[0]],
        lambda rows: [*rows[:-1], {}],
        lambda rows: [*rows[:-1], 3],
        lambda rows: [*rows[:-1], {**rows[-1], "prompt": "Another question?"}],
        lambda rows: [*rows[:-1], {**rows[-1], "value": None}],
        lambda rows: [*rows[:-1], {**rows[-1], "option_logp": [-1.0]}],
    ],
)
def test_are_answers_only_to_the_same_questions(
    sides: Any, toy_dataset: Any, spoil: Callable[[list[dict[str, Any]]], list[Any]]
) -> None:
    items, rows = measure(sides, toy_dataset, -1.0, -2.0)
    read = json.loads(json.dumps(rows))
    assert are_answers(read, items, VIEWS, split="test")
    assert not are_answers(spoil(copy.deepcopy(read)), items, VIEWS, split="test")
    assert not are_answers(read, items, ["blind"], split="test")
    assert not are_answers(read, items, VIEWS, split="val")


def test_evaluate_text_table_answers_every_question(toy_dataset: Any) -> None:
    # "Which side?": left and right are equally frequent among the training answers, and left was the second one.
    table = make_answer_table(toy_dataset)
    choice = create("benchmark", "choice")
    items = collect_questions(choice, toy_dataset, split="test", seed=0, limit=0)
    rows = evaluate_text_table(table, choice, items, split="test")
    assert [row["id"] for row in rows] == [item.question.id for item in items]
    assert {row["view"] for row in rows} == {"text-table"}
    assert {row["text"] for row in rows} <= {"left", "right"}
    assert all(row["value"] == float(row["text"] == row["answer"]) for row in rows)


def test_evaluate_text_table_reads_letters_as_options(toy_dataset: Any) -> None:
    table = make_answer_table(toy_dataset)
    letters = create("benchmark", "choice", answer_style="letter")
    texts = create("benchmark", "choice")
    picked = []
    for benchmark in (letters, texts):
        items = collect_questions(benchmark, toy_dataset, split="test", seed=0, limit=0)
        picked.append([row["value"] for row in evaluate_text_table(table, benchmark, items, split="test")])
    assert picked[0] == picked[1]


def test_collect_questions_names_the_group_of_each_record(toy_dataset: Any) -> None:
    items = collect_questions(create("benchmark", "choice"), toy_dataset, split="test", seed=0, limit=0)
    assert [item.group for item in items] == [item.question.record_id for item in items]


class Replies:
    """Predictor with one free answer per question, in turn."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def answer(self, questions: Sequence[Question], view: str, advance: Any) -> list[Prediction]:
        return [Prediction(self.texts[i % len(self.texts)]) for i in range(len(questions))]


def free_items(*subsets: str) -> list[EvaluationItem]:
    return [
        EvaluationItem(Question(f"q{i}", "r", "What?", None, "a chair", "kind"), "g", subset)
        for i, subset in enumerate(subsets)
    ]


def test_evaluate_benchmark_grades_answers_without_thoughts_and_keeps_them(sides: Any) -> None:
    items = free_items("test", "test", "test")
    texts = ["<think>a table?</think> a chair", "a chair", "<think>a chair"]
    predictor: Any = Replies(*texts)
    graded: list[str] = []
    sides.measure_set = lambda questions, predictions: [graded.append(each.text) or {} for each in predictions]
    rows = evaluate_benchmark(predictor, sides, items, ["clean"], split="test", advance=lambda units: None)
    assert [row["text"] for row in rows] == texts
    assert [(row["value"], row["valid"]) for row in rows] == [(1.0, True), (1.0, True), (0.0, False)]
    assert graded == ["a chair", "a chair", ""]


def test_evaluate_benchmark_does_not_read_thoughts_in_options(sides: Any) -> None:
    question = Question("q", "r", "Which tag?", ("<think>", "</think>"), "<think>", "kind")
    table = AnswerTable([("Which tag?", "<think>")])
    rows = evaluate_text_table(table, sides, [EvaluationItem(question, "g", "test")], split="test")
    assert (rows[0]["text"], rows[0]["value"], rows[0]["valid"]) == ("<think>", 1.0, True)


def test_evaluate_benchmark_measures_each_set_under_each_view(sides: Any) -> None:
    items, sets = free_items("test", "counterfactual", "test"), []

    def measure_set(questions: Sequence[Question], predictions: Sequence[Prediction]) -> list[dict[str, float]]:
        sets.append([question.id for question in questions])
        return [{"size": float(len(questions))} for _ in questions]

    sides.measure_set = measure_set
    predictor: Any = Replies("a chair")
    rows = evaluate_benchmark(predictor, sides, items, VIEWS, split="test", advance=lambda units: None)
    assert sets == [["q0", "q2"], ["q1"]] * 2
    assert [row["measures"]["size"] for row in rows] == [2.0, 1.0, 2.0] * 2


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        ([], "expected 2 mappings"),
        (None, "expected 2 mappings"),
        ([{}, {"x": math.nan}], "question 'q1': its measures are .* expected finite numbers by name"),
        ([{"x": "1"}, {}], "question 'q0': its measures"),
        ([{}, 3], "question 'q1': its measures"),
    ],
)
def test_evaluate_benchmark_names_broken_measures(sides: Any, measured: Any, message: str) -> None:
    sides.measure_set = lambda questions, predictions: measured
    predictor: Any = Replies("a chair")
    with pytest.raises(PluginError, match=message):
        evaluate_benchmark(
            predictor, sides, free_items("test", "test"), ["clean"], split="test", advance=lambda units: None
        )
