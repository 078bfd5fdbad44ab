"""Asks a benchmark's questions under every view and writes one row per answer.

The same questions go to the clean view and to the blind one; scores are computed from the rows on disk, so that every
number of a report can be traced.
"""

from __future__ import annotations

from collections.abc import Sequence

from spa3d.artifacts.predictions import Row
from spa3d.contracts.benchmark import Benchmark, Prediction, Question
from spa3d.evaluation.question_sets import Asked
from spa3d.inference.predictor import Predictor, View
from spa3d.runtime.progress import Reporter


def measure(
    answerer: Predictor,
    benchmark: Benchmark,
    questions: Asked,
    *,
    split: str,
    views: Sequence[View],
    reporter: Reporter,
    title: str,
) -> list[Row]:
    """Answer and judge `questions` under each of `views`; one row per question and view."""
    rows: list[Row] = []
    plain = [question for question, _, _ in questions]
    with reporter.track(len(plain) * len(views), title) as advance:
        for view in views:
            predictions = answerer.answer(plain, view, advance)
            rows += [
                _row(benchmark, question, prediction, split=split, part=part, pair=pair, view=view)
                for (question, part, pair), prediction in zip(questions, predictions, strict=True)
            ]
    return rows


def _row(
    benchmark: Benchmark,
    question: Question,
    prediction: Prediction,
    *,
    split: str,
    part: str,
    pair: str | None,
    view: View,
) -> Row:
    verdict = benchmark.score(question, prediction)
    return {
        "id": question.id,
        "record": question.record_id,
        "kind": question.kind,
        "split": "counterfactual" if part == "counterfactual" else split,
        "set": part,
        "pair": pair,
        "prompt": question.prompt,
        "options": list(question.options) if question.options else None,
        "answer": question.answer,
        "view": view,
        "text": prediction.text,
        "option_logp": [round(value, 6) for value in prediction.option_logp],
        "option_lengths": list(prediction.option_lengths),
        "value": verdict.value,
        "valid": verdict.valid,
        "chance": benchmark.chance(question),
    }
