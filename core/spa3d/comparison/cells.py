"""What a comparison is made of: rows of settings, their cells (one run per seed), and what came of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Role = Literal["row", "control"]
Status = Literal["done", "failed", "to do"]


@dataclass(frozen=True)
class Row:
    """One configuration of a comparison.

    Attributes:
        label: what the table calls it, from the settings that vary; unique in its comparison.
        settings: dotted run flags without dashes and their values: ``{"objective": "dpo", "noise.level": "0.25"}``.
        role: ``control`` for an SFT row that the budget added.
        control: label of the SFT row of equal budget, which this one is held against; empty for such a row itself.

    """

    label: str
    settings: Mapping[str, str]
    role: Role = "row"
    control: str = ""


@dataclass(frozen=True)
class Cell:
    """One run of a row: `index` counts cells from 0 in the order of the grid, `folder` is the run's."""

    row: Row
    seed: int
    index: int
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """What came of a cell: `fault` says why it failed, `seconds` is the wall time of post-training."""

    cell: Cell
    status: Status
    fault: str = ""
    seconds: float | None = None
