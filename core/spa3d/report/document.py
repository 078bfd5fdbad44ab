"""Validated model of report.json.

docs/report.md documents every key; a test compares the two. Later versions only add keys, so readers must ignore
unknown ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from spa3d.artifacts.predictions import PredictionRow
from spa3d.evaluation.summary import change, summarize
from spa3d.evaluation.training_health import measure_health

Share = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]


def _check_order(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] > interval[1]:
        raise ValueError(f"the interval {interval} ends before it starts")
    return interval


ShareInterval = Annotated[tuple[Share, Share], AfterValidator(_check_order)]
NumberInterval = Annotated[tuple[float, float], AfterValidator(_check_order)]
DifferenceInterval = Annotated[tuple[Difference, Difference], AfterValidator(_check_order)]
Rows = Sequence[PredictionRow]
RowsByBenchmark = Mapping[str, tuple[Rows, Rows]]
"""Prediction rows before and after post-training, per benchmark; both may be empty."""
Subset = Literal["unseen", "counterfactual", "flip"]
SUBSETS: tuple[Subset, ...] = ("unseen", "counterfactual", "flip")
"""Sets of questions with a line of their own, in order."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class TextFloor(_Model):
    """Best score of text alone; `source` is blind, trained-blind, text-table or majority."""

    score: Share
    ci95: ShareInterval
    source: str


class SubsetScore(_Model):
    """Score on one set of questions, beside the blind score and the text floor."""

    score: Share
    ci95: ShareInterval
    blind: Share
    blind_ci95: ShareInterval
    text_floor: TextFloor | None = None
    chance: Share
    n: int = Field(ge=1)


class KindScore(SubsetScore):
    """Score on the questions of one kind."""

    majority: Share


class Shift(_Model):
    """Mean paired difference with its interval."""

    score: Difference
    ci95: DifferenceInterval


class TestedShift(Shift):
    """Change by post-training on one set of questions."""

    blind: Difference
    p: Share


class MeasureShift(_Model):
    """Mean paired change of a further figure with its interval."""

    score: float
    ci95: NumberInterval


class BenchmarkScore(KindScore):
    """Scores of one benchmark, before or after post-training."""

    invalid: Share
    records: int = Field(ge=1)
    kinds: dict[str, KindScore]
    measures: dict[str, float] = {}
    measure_ci95: dict[str, NumberInterval] = {}
    blind_measures: dict[str, float] = {}
    gap: Shift | None = None
    worth: Shift | None = None
    normalized: Share | None = None
    hygiene: dict[str, Any] | None = None
    blind_only: bool = False
    unseen: SubsetScore | None = None
    counterfactual: SubsetScore | None = None
    flip: SubsetScore | None = None


class Change(TestedShift):
    """Changes by post-training on one benchmark."""

    kinds: dict[str, TestedShift]
    measures: dict[str, MeasureShift] = {}
    unseen: TestedShift | None = None
    counterfactual: TestedShift | None = None
    flip: TestedShift | None = None


class BenchmarkResult(_Model):
    """Result of one benchmark, without ``after`` and ``change`` if post-training did not end."""

    before: BenchmarkScore | None = None
    after: BenchmarkScore | None = None
    change: Change | None = None


class Course(_Model):
    """Value of a quantity before the first step, and its value with the final weights."""

    first: float
    last: float


class Health(_Model):
    """Course of post-training on held-out records, and repetition in generated answers."""

    logp_clean: Course | None = None
    margin: Course | None = None
    saturation: Course | None = None
    repetition: Course | None = None
    stopped: int | None = None
    kept: int | None = None


class Training(_Model):
    """Path of the curves, warnings of the watchdog, and course of training."""

    curves: str = "metrics.jsonl"
    warnings: tuple[str, ...] = ()
    health: Health = Health()


class Document(_Model):
    """Content of report.json."""

    model_config = ConfigDict(frozen=True, extra="allow", serialize_by_alias=True, populate_by_name=True)

    version: Literal[1] = Field(1, alias="schema")
    status: str
    reason: str | None = None
    notes: tuple[str, ...] = ()
    config: dict[str, Any]
    passport: dict[str, Any]
    data: dict[str, Any]
    benchmarks: dict[str, BenchmarkResult]
    not_asked: tuple[str, ...] = ()
    training: Training = Training()
    timing: dict[str, float] = {}
    predictions: str = "predictions/"

    def json_text(self) -> str:
        """Format the text of report.json."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


class ScoreLine(NamedTuple):
    """Line of a score table: a benchmark, one of its subsets, or one of its kinds."""

    benchmark: str
    subset: Subset | Literal["test", "kind"]
    label: str
    before: SubsetScore | None
    after: SubsetScore | None
    change: TestedShift | None


@dataclass(frozen=True)
class ReportData:
    """Plain values of a run for its report.

    Attributes:
        config: configuration of the run.
        passport: versions, machine, and hashes of everything behind the results.
        data: ``dataset``, ``splits`` (name to number of records), and optionally ``skipped`` (a line per unreadable
            record) and ``up_axis`` (x, y or z; y if missing).
        rows: prediction rows of every benchmark; a benchmark without rows is listed under ``not_asked``.
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
    metrics: Rows = ()
    timing: Mapping[str, float] = field(default_factory=dict)
    status: str = "complete"
    reason: str | None = None
    notes: Sequence[str] = ()


def build_document(run: ReportData, *, bootstrap: int, seed: int) -> Document:
    """Summarize the predictions and build the validated document of a report.

    Args:
        run: values of the run.
        bootstrap: resamples behind each interval.
        seed: seed of the resampling.

    Raises:
        ValueError: the rows are inconsistent (see `spa3d.evaluation.summary`).

    """
    answered = {name: sides for name, sides in run.rows.items() if sides[0] or sides[1]}
    blocks = {name: _summarize(*sides, bootstrap=bootstrap, seed=seed) for name, sides in answered.items()}
    return Document.model_validate(
        {
            "status": run.status,
            "reason": run.reason,
            "notes": run.notes,
            "config": run.config,
            "passport": run.passport,
            "data": run.data,
            "benchmarks": blocks,
            "not_asked": [name for name in run.rows if name not in answered],
            "training": {
                "warnings": [row["warning"] for row in run.metrics if "warning" in row],
                "health": measure_health(run.metrics, *(_all_rows(run.rows, side) for side in (0, 1))),
            },
            "timing": {stage: round(seconds, 1) for stage, seconds in run.timing.items()},
        }
    )


def collect_score_lines(document: Document) -> Iterator[ScoreLine]:
    """Collect the lines of the main table: each benchmark, then its subsets."""
    for name, block in document.benchmarks.items():
        yield ScoreLine(name, "test", name, block.before, block.after, block.change)
        for subset in SUBSETS:
            before, after, moved = (getattr(side, subset, None) for side in (block.before, block.after, block.change))
            if before or after:
                yield ScoreLine(name, subset, subset, before, after, moved)


def collect_kind_lines(block: BenchmarkResult) -> Iterator[ScoreLine]:
    """Collect the lines of one benchmark's table per kind."""
    before, after = (side.kinds if side else {} for side in (block.before, block.after))
    for kind in after or before:
        moved = block.change.kinds.get(kind) if block.change else None
        yield ScoreLine("", "kind", kind, before.get(kind), after.get(kind), moved)


def _all_rows(rows: RowsByBenchmark, side: int) -> list[PredictionRow]:
    """Join the rows of all benchmarks before (0) or after (1) post-training."""
    return [row for sides in rows.values() for row in sides[side]]


def _summarize(before: Rows, after: Rows, *, bootstrap: int, seed: int) -> dict[str, Any]:
    sides = {"before": before, "after": after}
    block = {name: summarize(rows, bootstrap=bootstrap, seed=seed) for name, rows in sides.items() if rows}
    if before and after:
        block["change"] = change(before, after, bootstrap=bootstrap, seed=seed)
    return block
