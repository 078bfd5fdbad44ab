"""What a comparison is made of: rows of settings, their cells (one run per seed), and what lies on disk of each."""

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
"""Why a cell failed, then an empty line, then where; taken away when the cell is run again."""


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
    """What came of a cell: `error` says why it failed, `seconds` is the wall time of post-training."""

    cell: Cell
    status: Status
    error: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Task:
    """A cell and the configuration of its run."""

    cell: Cell
    config: RunConfig


def outcome(task: Task) -> Outcome:
    """What is on disk of a cell."""
    cell = task.cell
    report = _report(cell.folder)
    if report.get("status") == "complete" and read_saved_config(cell.folder) == task.config.model_dump(mode="json"):
        return Outcome(cell, "done", seconds=report.get("timing", {}).get("post-train"))
    if (cell.folder / ERROR).is_file():
        return Outcome(cell, "failed", (cell.folder / ERROR).read_text(encoding="utf-8").partition("\n\n")[0])
    return Outcome(cell, "to do")


def refuse_foreign_cells(tasks: Sequence[Task], output: Path) -> None:
    """Refuse an output folder whose cells of the same names belong to other settings.

    Raises:
        OutputError: which cells, and what to do.

    """
    if (output / "config.yaml").exists():
        raise OutputError(f"--output {output}: holds a run; a comparison wants a folder of its own")
    strange: dict[str, list[str]] = {}
    for task in tasks:
        saved, asked = read_saved_config(task.cell.folder), task.config.model_dump(mode="json")
        begun = (task.cell.folder / "report.json").exists() or any(task.cell.folder.glob("checkpoints/*"))
        if begun and saved != asked:
            strange[task.cell.folder.name] = differences(saved or {}, asked)
    if strange:
        names, differing = list(strange), next(iter(strange.values()))
        raise OutputError(
            f"--output {output}: its cells {', '.join(names[:4])}{' ...' * (len(names) > 4)} were run with other "
            f"settings ({'; '.join(differing[:2])}{' ...' * (len(differing) > 2)}); choose another --output, or remove "
            "them"
        )


def _report(folder: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
