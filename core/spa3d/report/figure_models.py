"""Validated models of the figures in report.json: scores, and paired differences."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]


def _check_order(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] > interval[1]:
        raise ValueError(f"the interval {interval} ends before it starts")
    return interval


ShareInterval = Annotated[tuple[Share, Share], AfterValidator(_check_order)]
DifferenceInterval = Annotated[tuple[Difference, Difference], AfterValidator(_check_order)]


class FigureModel(BaseModel):
    """Base of the models: frozen; keys of later versions are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class TextFloor(FigureModel):
    """Best score of text alone; `source` is blind, trained-blind, text-table or majority."""

    score: Share
    ci95: ShareInterval
    source: str


class Calibration(FigureModel):
    """Calibration of the answers picked among options; a bin is (mean confidence, accuracy, n)."""

    ece: Share
    brier: float = Field(ge=0, le=2)
    n: int = Field(ge=1)
    bins: tuple[tuple[Share, Share, int], ...] = ()


class SubsetScore(FigureModel):
    """Score on one set of questions, beside the blind score and the text floor."""

    score: Share
    ci95: ShareInterval
    blind: Share
    blind_ci95: ShareInterval
    text_floor: TextFloor | None = None
    chance: Share
    n: int = Field(ge=1)
    calibration: Calibration | None = None


class McNemar(FigureModel):
    """McNemar's exact test: questions right after only, before only, and the p value."""

    gained: int = Field(ge=0)
    lost: int = Field(ge=0)
    p: Share


class Shift(FigureModel):
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
