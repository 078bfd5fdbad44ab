"""Writes predictions and report of an evaluation."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from spa3d.artifacts.environment import machine, revision, versions
from spa3d.artifacts.evaluation_folder import EvaluationFolder
from spa3d.artifacts.predictions import PredictionRow, write_rows
from spa3d.data.preparation import Preparation, prepare
from spa3d.evaluation.evaluate import count_unscored
from spa3d.evaluation.samples import merge_samples
from spa3d.pipeline.evaluation_questions import has_train_split
from spa3d.pipeline.model_evaluation import ModelEvaluation
from spa3d.report.evaluation import EvaluationDocument, write_evaluation_report
from spa3d.report.evaluation.document import summarize_model
from spa3d.report.evaluation.examples import select_answered

PICTURED = 1024
"""Points of a cloud in a picture."""
Samples = Sequence[Mapping[str, Sequence[PredictionRow]]]
"""For each draw, the rows by benchmark."""


def write_evaluation(folder: EvaluationFolder, evaluation: ModelEvaluation, samples: Samples) -> None:
    """Write the predictions, then the report.

    Args:
        folder: of the evaluation.
        evaluation: that was done.
        samples: its rows.

    """
    text_rows, settings = evaluation.collect_text_rows(), evaluation.settings
    rows = {name: merge_samples([each[name] for each in samples]) for name in samples[0]}
    for name, some in rows.items():
        write_rows(folder.predictions(name), [*some, *text_rows.get(name, ())])
    scores = {
        name: summarize_model(
            [each[name] for each in samples],
            text_rows.get(name, ()),
            bootstrap=settings.bootstrap,
            seed=settings.seed,
            calibration=settings.calibration,
        )
        for name in rows
    }
    document = _make_document(folder, evaluation, scores, _list_notes(evaluation, rows))
    shown = next(iter(rows.values())) if evaluation.content.shows_clouds else []
    write_evaluation_report(folder.path, document, select_answered(shown, lambda record: _picture(evaluation, record)))
    folder.drop_shards()


def _make_document(
    folder: EvaluationFolder, evaluation: ModelEvaluation, scores: Mapping[str, object], notes: Sequence[str]
) -> EvaluationDocument:
    model, dataset = evaluation.model, evaluation.content.dataset
    return EvaluationDocument.model_validate(
        {
            "model": {"name": model.name, "path": model.path, "content": model.content},
            "conditions": folder.request,
            "passport": {
                "created": time.strftime("%Y-%m-%dT%H:%M:%S"),
                "revision": revision(),
                "versions": versions(),
                "machine": machine(model.device),
            },
            "data": {
                "dataset": evaluation.content.dataset_name,
                "splits": {name: len(dataset.records(name)) for name in dataset.splits},
                "skipped": list(dataset.skip_log.lines),
                "notes": list(dataset.skip_log.notes),
                "up_axis": dataset.up_axis,
            },
            "benchmarks": scores,
            "decoding": evaluation.settings.decoding.description,
            "not_asked": [name for name, items in evaluation.questions.items.items() if not items],
            "notes": notes,
        }
    )


def _list_notes(evaluation: ModelEvaluation, rows: Mapping[str, Sequence[PredictionRow]]) -> list[str]:
    """What the reader must know before the scores."""
    notes = [*evaluation.questions.notes]
    if not has_train_split(evaluation.content):
        notes.append(
            "the dataset has no training records: the text floor knows no training answers, and no object is called "
            "unseen"
        )
    lost = {name: count for name, some in rows.items() if (count := count_unscored(some))}
    notes += [f"{name}: log p of the options is not a number in {count} answers" for name, count in lost.items()]
    return notes


def _picture(evaluation: ModelEvaluation, record_id: str) -> np.ndarray:
    record = evaluation.content.dataset.record(record_id)
    preparation = Preparation(PICTURED if len(record.cloud()) > PICTURED else 0, "random")
    return prepare(record.cloud(), preparation, key=("picture", record_id), has_color=record.has_color)
