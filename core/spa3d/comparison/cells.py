"""Rows of a comparison, their cells (one run per seed), and the state of each cell on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spa3d.artifacts.diff import differences
from spa3d.artifacts.run_folder import read_saved_config
from spa3d.config.settings import RunConfig
from spa3d.errors import OutputError

Role = Literal["row", "control"]
Status = Literal["done", "failed", "to do"]
ERROR = "error.txt"
"""File in a failed cell: the error, an empty line, the traceback. Removed when the cell is run again."""


@dataclass(frozen=True)
class Row:
    """One configuration of a comparison.

    Attributes:
        label: its name in the table, made from the settings that vary; unique in its comparison.
        settings: dotted run flags without dashes, and their values: ``{"objective": "dpo", "noise.level": "0.25"}``.
        role: ``control`` for an SFT row that the budget added.
        control: label of the SFT row of equal budget that this row is compared with; empty for a control.

    """

    label: str
    settings: Mapping[str, str]
    role: Role = "row"
    control: str = ""


@dataclass(frozen=True)
class Cell:
    """One run of a row; `index` counts all cells from 0, `folder` is the run's folder."""

    row: Row
    seed: int
    index: int
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """State of a cell; `error` is the reason of a failure, `seconds` the post-training time."""

    cell: Cell
    status: Status
    error: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Task:
    """A cell and the configuration of its run."""

    cell: Cell
    config: RunConfig


def read_outcome(task: Task) -> Outcome:
    """The state of a cell, read from its folder."""
    cell = task.cell
    report = _read_report(cell.folder)
    if report.get("status") == "complete" and read_saved_config(cell.folder) == task.config.model_dump(mode="json"):
        return Outcome(cell, "done", seconds=report.get("timing", {}).get("post-train"))
    if (cell.folder / ERROR).is_file():
        return Outcome(cell, "failed", (cell.folder / ERROR).read_text(encoding="utf-8").partition("\n\n")[0])
    return Outcome(cell, "to do")


def refuse_foreign_cells(tasks: Sequence[Task], output: Path) -> None:
    """Raise if `output` has cells of the same names with other settings, or is a run itself.

    Raises:
        OutputError: names the cells and what to do.

    """
    if (output / "config.yaml").exists():
        raise OutputError(f"--output {output}: holds a run; choose another folder for the comparison")
    foreign: dict[str, list[str]] = {}
    for task in tasks:
        saved, config = read_saved_config(task.cell.folder), task.config.model_dump(mode="json")
        started = (task.cell.folder / "report.json").exists() or any(task.cell.folder.glob("checkpoints/*"))
        if started and saved != config:
            foreign[task.cell.folder.name] = differences(saved or {}, config)
    if foreign:
        names, differing = list(foreign), next(iter(foreign.values()))
        raise OutputError(
            f"--output {output}: its cells {', '.join(names[:4])}{' ...' * (len(names) > 4)} were run with other "
            f"settings ({'; '.join(differing[:2])}{' ...' * (len(differing) > 2)}); choose another --output, or remove "
            "them"
        )


def _read_report(folder: Path) -> Mapping[str, Any]:
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}
