"""Building of report.json from the values of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spa3d.artifacts.predictions import PredictionRow
from spa3d.evaluation.summary import change, summarize
from spa3d.evaluation.training_health import measure_health
from spa3d.report.document import Document, Rows, RowsByBenchmark


@dataclass(frozen=True)
class ReportData:
    """Plain values of a run for its report.

    Attributes:
        config: configuration of the run.
        passport: versions, machine, and hashes of everything behind the results.
        data: ``dataset``, ``splits`` (name to number of records), and optionally ``skipped`` (a line per unreadable
            record) and ``up_axis`` (x, y or z; y if missing).
        rows: prediction rows of every benchmark; a benchmark without rows is listed under ``not_asked``.
        decoding: how answers were picked or written, by name (`spa3d.report.conditions.describe_decoding`).
        metrics: rows of metrics.jsonl; a warning of the watchdog among them makes the verdict "hurt".
        timing: seconds per stage.
        status: ``complete``, ``diverged``, or another word for the state of the run.
        reason: why the run ended early.
        notes: sentences about what this report lacks.

    """

    config: dict[str, Any]
    passport: dict[str, Any]
    data: dict[str, Any]
    rows: RowsByBenchmark
    decoding: Mapping[str, Any] = field(default_factory=dict)
    metrics: Rows = ()
    timing: Mapping[str, float] = field(default_factory=dict)
    status: str = "complete"
    reason: str | None = None
    notes: Sequence[str] = ()


def build_document(run: ReportData, *, bootstrap: int, seed: int, calibration: bool = False) -> Document:
    """Summarize the predictions and build the validated document of a report.

    Args:
        run: values of the run.
        bootstrap: resamples behind each interval.
        seed: seed of the resampling.
        calibration: whether the report has the calibration of options.

    Raises:
        ValueError: the rows are inconsistent (see `spa3d.evaluation.summary`).

    """
    answered = {name: sides for name, sides in run.rows.items() if sides[0] or sides[1]}
    settings = {"bootstrap": bootstrap, "seed": seed}
    blocks = {name: _summarize(*sides, calibration=calibration, settings=settings) for name, sides in answered.items()}
    return Document.model_validate(
        {
            "status": run.status,
            "reason": run.reason,
            "notes": run.notes,
            "config": run.config,
            "passport": run.passport,
            "data": run.data,
            "decoding": run.decoding,
            "benchmarks": blocks,
            "not_asked": [name for name in run.rows if name not in answered],
            "training": {
                "warnings": [row["warning"] for row in run.metrics if "warning" in row],
                "health": measure_health(run.metrics, *(_all_rows(run.rows, side) for side in (0, 1))),
            },
            "timing": {stage: round(seconds, 1) for stage, seconds in run.timing.items()},
        }
    )


def _all_rows(rows: RowsByBenchmark, side: int) -> list[PredictionRow]:
    """Join the rows of all benchmarks before (0) or after (1) post-training."""
    return [row for sides in rows.values() for row in sides[side]]


def _summarize(before: Rows, after: Rows, *, calibration: bool, settings: Mapping[str, int]) -> dict[str, Any]:
    sides = {"before": before, "after": after}
    block = {name: summarize(rows, calibration=calibration, **settings) for name, rows in sides.items() if rows}
    if before and after:
        block["change"] = change(before, after, **settings)
    return block
