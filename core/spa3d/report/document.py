"""Validated model of report.json.

docs/report.md documents every key; a test compares the two. Later versions only add keys, so readers must ignore
unknown ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from spa3d.artifacts.predictions import PredictionRow

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


class Calibration(_Model):
    """Calibration of the answers picked among options; a bin is (mean confidence, accuracy, n)."""

    ece: Share
    brier: float = Field(ge=0, le=2)
    n: int = Field(ge=1)
    bins: tuple[tuple[Share, Share, int], ...] = ()


class SubsetScore(_Model):
    """Score on one set of questions, beside the blind score and the text floor."""

    score: Share
    ci95: ShareInterval
    blind: Share
    blind_ci95: ShareInterval
    text_floor: TextFloor | None = None
    chance: Share
    n: int = Field(ge=1)
    calibration: Calibration | None = None
    blind_calibration: Calibration | None = None


class KindScore(SubsetScore):
    """Score on the questions of one kind."""

    majority: Share


class McNemar(_Model):
    """McNemar's exact test: questions right after only, before only, and the p value."""

    gained: int = Field(ge=0)
    lost: int = Field(ge=0)
    p: Share


class Shift(_Model):
    """Mean paired difference with its interval.

    ``mde`` is the minimum detectable effect. Reports of earlier versions lack it, and ``mcnemar`` too.
    """

    score: Difference
    ci95: DifferenceInterval
    mde: Share | None = None
    mcnemar: McNemar | None = None

    @property
    def side(self) -> Literal[-1, 0, 1]:
        """1 if the interval lies above 0, -1 below, 0 if it contains 0."""
        low, high = self.ci95
        return 1 if low > 0 else -1 if high < 0 else 0


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
    unit: Literal["pair"] | None = None
    kinds: dict[str, KindScore]
    measures: dict[str, float] = Field(default_factory=dict)
    measure_ci95: dict[str, NumberInterval] = Field(default_factory=dict)
    blind_measures: dict[str, float] = Field(default_factory=dict)
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


class SideBySide(NamedTuple):
    """What the tables of one benchmark put side by side.

    Attributes:
        scores: by the head of their column; None where post-training did not end.
        changes: of the further figures; None if nothing was changed.

    """

    scores: Mapping[str, BenchmarkScore | None]
    changes: Mapping[str, MeasureShift] | None = None


class BenchmarkResult(_Model):
    """Result of one benchmark, without ``after`` and ``change`` if post-training did not end."""

    before: BenchmarkScore | None = None
    after: BenchmarkScore | None = None
    change: Change | None = None

    @property
    def sides(self) -> SideBySide:
        """Both scores and their changes, for tables."""
        return SideBySide({"before": self.before, "after": self.after}, self.change.measures if self.change else {})


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
    decoding: dict[str, Any] = Field(default_factory=dict)
    benchmarks: dict[str, BenchmarkResult]
    not_asked: tuple[str, ...] = ()
    training: Training = Training()
    timing: dict[str, float] = Field(default_factory=dict)
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
