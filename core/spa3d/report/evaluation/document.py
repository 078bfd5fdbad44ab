"""Validated model of the report.json of an evaluation; docs/evaluate.md documents its keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from spa3d.artifacts.predictions import PredictionRow
from spa3d.evaluation.samples import measure_spread, merge_samples
from spa3d.evaluation.scored_units import BLIND, CLEAN
from spa3d.evaluation.summary import summarize, summarize_views
from spa3d.report.document import (
    SUBSETS,
    BenchmarkScore,
    Share,
    ShareInterval,
    Shift,
    SideBySide,
    Subset,
    SubsetScore,
)

Rows = Sequence[PredictionRow]


class _Part(BaseModel):
    model_config = BenchmarkScore.model_config


class ViewScore(_Part):
    """Score under one view, with its paired change against the clean view."""

    score: Share
    ci95: ShareInterval
    chance: Share
    n: int = Field(ge=1)
    change: Shift | None = None


class ViewSpread(_Part):
    """Scores of several draws under one view, and their standard deviation."""

    scores: tuple[Share, ...]
    deviation: float = Field(ge=0)


class Spread(_Part):
    """Spread over several draws of every free answer."""

    count: int = Field(ge=2)
    views: dict[str, ViewSpread]


class ModelScore(BenchmarkScore):
    """Scores of a model on one benchmark; ``views`` are those beside ``clean`` and ``blind``."""

    views: dict[str, ViewScore] = Field(default_factory=dict)
    samples: Spread | None = None

    @property
    def sides(self) -> SideBySide:
        """The score alone, for tables."""
        return SideBySide({"answers": self})

    @property
    def spread(self) -> float | None:
        """Standard deviation of the score over the draws; None for a single draw."""
        view = self.samples and (self.samples.views.get(CLEAN) or self.samples.views.get(BLIND))
        return view.deviation if view else None


class EvaluationDocument(_Part):
    """Content of report.json."""

    model_config = ConfigDict(frozen=True, extra="allow", serialize_by_alias=True, populate_by_name=True)

    version: Literal[1] = Field(1, alias="schema")
    kind: Literal["evaluation"] = "evaluation"
    model: dict[str, Any]
    conditions: dict[str, Any]
    passport: dict[str, Any]
    data: dict[str, Any]
    benchmarks: dict[str, ModelScore]
    decoding: dict[str, Any] = Field(default_factory=dict)
    not_asked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    predictions: str = "predictions/"

    def json_text(self) -> str:
        """Format the text of report.json."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


class ModelLine(NamedTuple):
    """Line of a score table: a benchmark, one of its subsets, or one of its kinds."""

    benchmark: str
    subset: Subset | Literal["test", "kind"]
    label: str
    score: SubsetScore


def summarize_model(
    samples: Sequence[Rows], text_rows: Rows, *, bootstrap: int, seed: int, calibration: bool = False
) -> dict[str, Any]:
    """Compute the figures of one benchmark.

    Args:
        samples: rows of each draw, under all views; without a temperature there is one.
        text_rows: rows of what competes for the text floor beside the model.
        bootstrap: resamples behind each interval.
        seed: seed of the resampling.
        calibration: whether to measure the calibration of options.

    Raises:
        ValueError: the reported split has no question, or a question lacks a view.

    """
    rows = merge_samples(samples)
    main = [row for row in rows if row["view"] in (CLEAN, BLIND)]
    views = summarize_views(rows, bootstrap=bootstrap, seed=seed)
    return summarize([*main, *text_rows], bootstrap=bootstrap, seed=seed, calibration=calibration) | {
        "views": {view: score for view, score in views.items() if view not in (CLEAN, BLIND)},
        "samples": measure_spread(samples),
    }


def collect_model_lines(document: EvaluationDocument) -> Iterator[ModelLine]:
    """Collect the lines of the main table: each benchmark, then its subsets."""
    for name, score in document.benchmarks.items():
        yield ModelLine(name, "test", name, score)
        for subset in SUBSETS:
            part = getattr(score, subset)
            if part:
                yield ModelLine(name, subset, subset, part)


def collect_kinds(score: ModelScore) -> list[ModelLine]:
    """Collect the lines of one benchmark's table per kind; none for a single kind."""
    kinds = score.kinds if len(score.kinds) > 1 else {}
    return [ModelLine("", "kind", kind, part) for kind, part in kinds.items()]


def collect_views(document: EvaluationDocument) -> Iterator[tuple[str, str, ViewScore]]:
    """Collect benchmark, view and score, of views beside ``clean`` and ``blind``."""
    for name, score in document.benchmarks.items():
        for view, part in score.views.items():
            yield name, view, part


def read_conditions(document: EvaluationDocument, *keys: str) -> Mapping[str, Any]:
    """Read a nested block of the conditions; empty if it is missing."""
    block: Any = document.conditions
    for key in keys:
        block = block.get(key) if isinstance(block, Mapping) else None
    return block if isinstance(block, Mapping) else {}
