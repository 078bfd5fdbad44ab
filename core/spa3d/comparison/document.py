"""Validated model of compare.json. Keys are only ever added."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from spa3d.comparison.cells import Role, Status
from spa3d.report.document import McNemar

Span = tuple[float, float]
BenchmarkSubset = tuple[str, str]
"""A benchmark and a set of its questions: ``test``, ``counterfactual`` or ``flip``."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Spread(_Model):
    """A mean over seeds, and the value of each seed.

    ``seeds`` is in the order of the row's ``seeds_done``; None for a seed without a value.
    """

    mean: float
    seeds: tuple[float | None, ...]

    @property
    def ends(self) -> Span:
        """The smallest and the largest value over the seeds."""
        known = [value for value in self.seeds if value is not None]
        return min(known), max(known)


class Estimate(Spread):
    """A mean difference with its paired interval over questions; whole records are resampled.

    ``mde`` is the minimum detectable effect of this difference alone.
    """

    ci95: Span
    mde: float | None = None

    @property
    def contains_zero(self) -> bool:
        """Whether the interval contains 0."""
        return self.ci95[0] <= 0 <= self.ci95[1]


class TestedEstimate(Estimate):
    """A difference against the control, with its p values.

    ``seeds`` has None for a seed of which only one of the two runs is done.
    ``p`` is of a two-sided sign-flip test over whole records; ``p_holm`` is corrected for all comparisons of the table.
    ``mcnemar`` is McNemar's test of right and wrong answers, where one seed is compared.
    """

    p: float
    p_holm: float
    mcnemar: McNemar | None = None

    @property
    def side(self) -> Literal[-1, 0, 1]:
        """Direction of a significant difference: 1 better, -1 worse, 0 not significant.

        0 if the interval contains 0, Holm's p is above 0.05, or a seed has the opposite sign.
        """
        (low, high), (least, greatest) = self.ci95, self.ends
        if self.p_holm > ALPHA:
            return 0
        return 1 if min(low, least) > 0 else -1 if max(high, greatest) < 0 else 0

    @property
    def is_unconfirmed(self) -> bool:
        """Whether the interval excludes 0, but Holm's correction or a seed disagrees."""
        return self.side == 0 and not self.contains_zero


ALPHA = 0.05


class Score(_Model):
    """Scores of one row on one set of questions, from 0 to 1; differences in the same unit."""

    questions: int = Field(ge=1)
    chance: float
    before: Spread
    after: Spread
    blind: Spread
    text_floor: Spread
    change: Estimate
    against_control: TestedEstimate | None = None
    gap: Estimate | None = None
    gap_change: Estimate | None = None


class CellState(_Model):
    """State of one run; ``folder`` is relative to the folder of compare.json."""

    seed: int
    index: int
    folder: str
    status: Status
    error: str = ""
    warnings: tuple[str, ...] = ()


class TableRow(_Model):
    """One configuration with its scores by benchmark and set, means over seeds."""

    label: str
    role: Role
    control: str
    settings: dict[str, str]
    seeds_done: tuple[int, ...]
    scores: dict[str, dict[str, Score]]
    training: dict[str, Spread]
    cells: tuple[CellState, ...]

    @property
    def errors(self) -> tuple[str, ...]:
        """Distinct errors of the cells, each with its seeds."""
        seeds: dict[str, list[str]] = {}
        for cell in self.cells:
            if cell.status == "failed":
                seeds.setdefault(cell.error or "no reason given", []).append(str(cell.seed))
        return tuple(
            f"seed{'s' if len(failed) > 1 else ''} {', '.join(failed)} failed: {error}"
            for error, failed in seeds.items()
        )


class Family(_Model):
    """Number of comparisons under Holm's correction: rows with a control times scores."""

    rows: int
    scores: int
    comparisons: int
    alpha: float = ALPHA


class Table(_Model):
    """The content of compare.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True, populate_by_name=True)

    version: Literal[1] = Field(1, alias="schema")
    title: str
    verdict: tuple[str, ...]
    budget: str
    command: str
    counts: dict[Status, int]
    bootstrap: int
    family: Family
    rows: tuple[TableRow, ...]
    caption: str = ""
    paper: dict[str, dict[str, float]] = {}
    decoding: dict[str, Any] = {}

    def json_text(self) -> str:
        """The text of compare.json."""
        return self.model_dump_json(indent=1, exclude_defaults=False) + "\n"

    def subsets(self) -> list[BenchmarkSubset]:
        """Every scored set of questions, in the order in which rows first have it."""
        subsets_seen: dict[BenchmarkSubset, None] = {}
        for row in self.rows:
            subsets_seen.update({(name, subset): None for name, sets in row.scores.items() for subset in sets})
        return list(subsets_seen)

    def score(self, row: TableRow, subset: BenchmarkSubset) -> Score | None:
        """The score of `row` on a set of questions."""
        name, kind = subset
        return row.scores.get(name, {}).get(kind)
