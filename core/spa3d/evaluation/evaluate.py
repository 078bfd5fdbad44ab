"""Evaluation of a model on a benchmark: one row per question and view.

Every view gets the same questions. So does a table of the training answers, which sees no cloud and runs no model.
Scores are computed from the rows, so every number of a report can be traced.
"""

from __future__ import annotations

from collections.abc import Sequence

from spa3d.artifacts.predictions import PredictionRow
from spa3d.contracts.benchmark import Benchmark, Prediction, Question
from spa3d.contracts.dataset import Dataset, Record
from spa3d.data.questions import split_options
from spa3d.evaluation.question_sets import EvaluationItem
from spa3d.inference.predictor import Predictor
from spa3d.metrics.text_floor import TEXT_TABLE, AnswerTable
from spa3d.runtime.progress import Advance


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

    """
    rows: list[PredictionRow] = []
    questions = [item.question for item in items]
    for view in views:
        predictions = predictor.answer(questions, view, advance)
        rows += [
            {**_row(benchmark, item, prediction, split), "view": view}
            for item, prediction in zip(items, predictions, strict=True)
        ]
    return rows


def evaluate_text_table(
    table: AnswerTable, benchmark: Benchmark, items: Sequence[EvaluationItem], *, split: str
) -> list[PredictionRow]:
    """Answer `items` from the training text, and score the answers; one row per question."""
    return [{**_row(benchmark, item, _answer_from(table, item.question), split), "view": TEXT_TABLE} for item in items]


def make_answer_table(dataset: Dataset, records: Sequence[Record]) -> AnswerTable:
    """Make the table of the answers in the training conversations of `records`, first epoch."""
    return AnswerTable(
        (split_options(turn.question)[0], turn.answer)
        for record in records
        for conversation in dataset.conversations(record, 0)
        for turn in conversation.rounds
    )


def _answer_from(table: AnswerTable, question: Question) -> Prediction:
    stem, shown = split_options(question.prompt)
    if question.options is None:
        return Prediction(table.usual_answer(stem))
    texts = [shown.get(option, option) for option in question.options]  # an option may be the letter of a text
    return Prediction(question.options[table.usual_option(stem, texts)])


def _row(benchmark: Benchmark, item: EvaluationItem, prediction: Prediction, split: str) -> PredictionRow:
    question = item.question
    verdict = benchmark.score(question, prediction)
    return {
        "id": question.id,
        "record": question.record_id,
        "group": item.group,
        "kind": question.kind,
        "split": "counterfactual" if item.subset == "counterfactual" else split,
        "set": item.subset,
        "pair": item.pair_id,
        "prompt": question.prompt,
        "options": list(question.options) if question.options else None,
        "answer": question.answer,
        "view": "",
        "text": prediction.text,
        "option_logp": [round(value, 6) for value in prediction.option_logp],
        "option_lengths": list(prediction.option_lengths),
        "value": verdict.value,
        "valid": verdict.valid,
        "measures": dict(verdict.measures),
        "chance": benchmark.chance(question),
    }
