"""Asks a benchmark's questions under every view and writes one row per answer.

The same questions go to the clean view and to the blind one; scores are computed from the rows on disk, so that every
number of a report can be traced.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from spa3d.contracts.benchmark import Benchmark, Prediction, Question
from spa3d.contracts.dataset import Dataset
from spa3d.data.questions import keyed_sample
from spa3d.inference.predictor import Answerer, View
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.progress import Reporter

Item = TypeVar("Item")
Row = dict[str, Any]
Asked = list[tuple[Question, str, str | None]]
"""(question, set it belongs to, pair id)"""


def asked(benchmark: Benchmark, dataset: Dataset, *, split: str, seed: int, limit: int) -> Asked:
    """All questions of a benchmark: the split's, the counterfactual split's, and minimal pairs of the split."""
    most = limit or sys.maxsize

    def some(items: Sequence[Item], name: str) -> list[Item]:
        return keyed_sample(items, most, "limit", seed, name)

    found: Asked = [(question, "test", None) for question in some(benchmark.questions(dataset, split, seed), split)]
    if "counterfactual" in dataset.splits and split != "counterfactual":
        broken = some(benchmark.questions(dataset, "counterfactual", seed), "counterfactual")
        found += [(question, "counterfactual", None) for question in broken]
    for before, after in some(benchmark.pairs(dataset, split, seed), "flip"):
        found += [(before, "flip", before.id), (after, "flip", before.id)]
    return found


def measure(
    answerer: Answerer,
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


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSON lines, whole or not at all."""
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_rows(path: Path) -> list[Row]:
    """Rows as `write_rows` left them."""
    # Not splitlines: text may hold line breaks of Unicode's own, which JSON leaves as they are.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


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
