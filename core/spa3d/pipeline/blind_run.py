"""Answers of a run that was trained without clouds; they join the text floor of another run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spa3d.artifacts.predictions import PredictionRow, read_rows
from spa3d.errors import ConfigError, DataError
from spa3d.evaluation.evaluate import are_answers
from spa3d.evaluation.scored_units import BLIND
from spa3d.metrics.text_floor import TRAINED_BLIND
from spa3d.pipeline.data_checks import Questions
from spa3d.runtime.paths import folder_problem


def read_trained_blind(folder: Path, questions: Questions, *, split: str) -> dict[str, list[PredictionRow]]:
    """Read the last answers of a ``--blind`` run by benchmark, as view ``trained-blind``.

    Args:
        folder: the folder of that run.
        questions: those of this run, by benchmark.
        split: name of the reported split.

    Raises:
        ConfigError: there is no finished run with ``--blind``, or it answered other questions.

    """
    where = f"--evaluate.blind_run {folder}"
    problem = folder_problem(folder) or _problem(folder)
    if problem:
        raise ConfigError(f"{where}: {problem}; give the folder of a finished run with --blind")
    result = dict[str, list[PredictionRow]]()
    for name, items in questions.items():
        rows = _blind_rows(folder / "predictions" / f"{name}.after.jsonl")
        if not are_answers(rows, items, [BLIND], split=split):
            raise ConfigError(
                f"{where}: its answers to {name} are not those to the questions of this run; both runs need the same "
                "dataset, benchmarks and settings of evaluation"
            )
        result[name] = [{**row, "view": TRAINED_BLIND} for row in rows]
    return result


def _problem(folder: Path) -> str:
    """Reason why the run in `folder` cannot be used; empty if it can."""
    try:
        report: Any = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return "it has no report.json of a run"
    if not isinstance(report, Mapping) or report.get("status") != "complete":
        return "the run is not complete"
    config = report.get("config")
    if not isinstance(config, Mapping) or config.get("blind") is not True:
        return "the run was trained with clouds"
    return ""


def _blind_rows(path: Path) -> list[PredictionRow]:
    """The rows without clouds; none if the file cannot be read."""
    try:
        return [row for row in read_rows(path) if isinstance(row, Mapping) and row.get("view") == BLIND]
    except (DataError, ValueError):
        return []
