"""Evaluation of a model on a benchmark: one row per question and view.

Every view gets the same questions. So does a table of the training answers, which sees no cloud and runs no model.
Thoughts (``<think>…</think>``) are stripped before grading, for every benchmark, and kept in the row's text. An answer
whose thought does not end is unreadable.
Scores are computed from the rows, so every number of a report can be traced.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from spa3d.artifacts.predictions import PredictionRow
from spa3d.contracts.benchmark import (
    Benchmark,
    Prediction,
    Question,
    Verdict,
    measure_predictions,
    score_prediction,
)
from spa3d.contracts.dataset import Dataset
from spa3d.data.questions import split_options
from spa3d.evaluation.question_sets import EvaluationItem
from spa3d.inference.predictor import Predictor
from spa3d.metrics.reasoning import strip_thoughts
from spa3d.metrics.text_floor import TEXT_TABLE, AnswerTable
from spa3d.runtime.progress import Advance

MEASURE_DIGITS = 8
"""Decimals of the measures of a whole set in a row."""


def evaluate_benchmark(
    predictor: Predictor,
    benchmark: Benchmark,
    items: Sequence[EvaluationItem],
    views: Sequence[str],
    *,
    split: str,
    advance: Advance,
) -> list[PredictionRow]:
    """Answer and score `items` under each of `views`; one row per question and view.

    Args:
        predictor: model that answers.
        benchmark: scores the answers.
        items: the questions.
        views: names of the predictor's views.
        split: name of the reported split.
        advance: callback of the progress bar; takes the number of new answers.

    Raises:
        PluginError: a verdict breaks the contract of a benchmark.

    """
    rows: list[PredictionRow] = []
    questions = [item.question for item in items]
    for view in views:
        predictions = predictor.answer(questions, view, advance)
        rows += grade_predictions(benchmark, items, predictions, split=split, view=view)
    return rows


def evaluate_text_table(
    table: AnswerTable, benchmark: Benchmark, items: Sequence[EvaluationItem], *, split: str
) -> list[PredictionRow]:
    """Answer `items` from the training text, and score the answers; one row per question."""
    predictions = [_answer_from(table, item.question) for item in items]
    return grade_predictions(benchmark, items, predictions, split=split, view=TEXT_TABLE)


def make_answer_table(dataset: Dataset) -> AnswerTable:
    """Make the table of the answers in the training conversations, first epoch."""
    return AnswerTable(
        (split_options(turn.question)[0], turn.answer)
        for record in dataset.records("train")
        for conversation in dataset.conversations(record, 0)
        for turn in conversation.rounds
    )


def _answer_from(table: AnswerTable, question: Question) -> Prediction:
    stem, shown = split_options(question.prompt)
    if question.options is None:
        return Prediction(table.usual_answer(stem))
    texts = [shown.get(option, option) for option in question.options]  # an option may be the letter of a text
    return Prediction(question.options[table.usual_option(stem, texts)])


def are_answers(rows: Sequence[Any], items: Sequence[EvaluationItem], views: Sequence[str], *, split: str) -> bool:
    """Whether `rows` of a file are what `evaluate_benchmark` returns for these questions."""
    expected = [_question(item, split, view) for view in views for item in items]
    return len(rows) == len(expected) and all(
        isinstance(row, Mapping)
        and all(name in row and row[name] == value for name, value in question.items())
        and _has_answer(row)
        for row, question in zip(rows, expected, strict=True)
    )


def count_unscored(rows: Sequence[PredictionRow]) -> int:
    """Count the rows whose options have no log p to compare: NaN, or -infinity for all."""
    return sum(not _is_comparable(row["option_logp"]) for row in rows)


def _has_answer(row: Mapping[str, Any]) -> bool:
    """Whether `row` has all the values of an answer."""
    options, shares = row["options"] or (), (row.get("value"), row.get("chance"))
    return (
        isinstance(row.get("text"), str)
        and isinstance(row.get("valid"), bool)
        and all(isinstance(share, int | float) and 0 <= share <= 1 for share in shares)
        and all(
            isinstance(row.get(name), list) and len(row[name]) in (0, len(options))
            for name in ("option_logp", "option_lengths")
        )
    )


def _is_comparable(option_logp: Sequence[float]) -> bool:
    return not any(map(math.isnan, option_logp)) and max(option_logp, default=0.0) > -math.inf


def _question(item: EvaluationItem, split: str, view: str) -> PredictionRow:
    """The keys of a row about the question."""
    question = item.question
    return {
        "id": question.id,
        "record": question.record_id,
        "group": item.group,
        "kind": question.kind,
        "split": "counterfactual" if item.subset == "counterfactual" else split,
        "set": item.subset,
        "pair": item.pair_id,
        "unseen": item.unseen,
        "prompt": question.prompt,
        "options": list(question.options) if question.options else None,
        "answer": question.answer,
        "view": view,
    }


def grade_predictions(
    benchmark: Benchmark, items: Sequence[EvaluationItem], predictions: Sequence[Prediction], *, split: str, view: str
) -> list[PredictionRow]:
    """Grade the answers to all `items` under one view, whoever gave them; one row per question.

    Raises:
        PluginError: a verdict or a measure breaks the contract of a benchmark.

    """
    graded = [_select_graded(item.question, prediction) for item, prediction in zip(items, predictions, strict=True)]
    rows = [
        _question(item, split, view) | _answer(benchmark, item.question, prediction, readable)
        for item, prediction, readable in zip(items, predictions, graded, strict=True)
    ]
    for subset in dict.fromkeys(item.subset for item in items):
        members = [i for i, item in enumerate(items) if item.subset == subset]
        measured = measure_predictions(
            benchmark,
            [items[i].question for i in members],
            [graded[i] or Prediction("") for i in members],
        )
        for i, measures in zip(members, measured, strict=True):
            rows[i]["measures"] |= {name: round(value, MEASURE_DIGITS) for name, value in measures.items()}
    return rows


def _select_graded(question: Question, prediction: Prediction) -> Prediction | None:
    """The graded part of an answer: free text without thoughts; None if it is unreadable."""
    if not _is_comparable(prediction.option_logp):
        return None
    text = prediction.text if question.options else strip_thoughts(prediction.text)
    return None if text is None else replace(prediction, text=text)


def _answer(
    benchmark: Benchmark, question: Question, prediction: Prediction, graded: Prediction | None
) -> PredictionRow:
    """The keys of a row about the answer; no pick if log p is not a number."""
    verdict = score_prediction(benchmark, question, graded) if graded else Verdict(0.0, valid=False)
    return {
        "text": prediction.text if _is_comparable(prediction.option_logp) else "",
        "option_logp": [round(value, 6) for value in prediction.option_logp],
        "option_lengths": list(prediction.option_lengths),
        "value": verdict.value,
        "valid": verdict.valid,
        "measures": dict(verdict.measures),
        "chance": benchmark.chance(question),
    }
