"""Rows of a comparison, their cells (one run per seed), and the state of each cell on disk."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spa3d.artifacts.diff import differences
from spa3d.artifacts.run_folder import read_saved_config, refuse_unwritable
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
    """State of a cell.

    Attributes:
        cell: the cell.
        status: its state.
        error: the reason of a failure.
        seconds: time of the post-training.
        duration: seconds of all stages except the base, which cells share.

    """

    cell: Cell
    status: Status
    error: str = ""
    seconds: float | None = None
    duration: float | None = None


@dataclass(frozen=True)
class Task:
    """A cell and the configuration of its run."""

    cell: Cell
    config: RunConfig


def read_outcome(task: Task) -> Outcome:
    """The state of a cell, read from its folder."""
    cell = task.cell
    report = _read_json(cell.folder / "report.json")
    if report.get("status") == "complete" and read_saved_config(cell.folder) == task.config.model_dump(mode="json"):
        timing = report.get("timing", {})
        stages = [seconds for stage, seconds in timing.items() if not stage.startswith("base")]
        return Outcome(cell, "done", seconds=timing.get("post-train"), duration=sum(stages) if stages else None)
    if (cell.folder / ERROR).is_file():
        return Outcome(cell, "failed", (cell.folder / ERROR).read_text(encoding="utf-8").partition("\n\n")[0])
    return Outcome(cell, "to do")


def refuse_foreign_cells(tasks: Sequence[Task], output: Path) -> None:
    """Raise if `output` has other files, or cells of the same names with other settings.

    Raises:
        OutputError: says what is there, and what to do.

    """
    refuse_unwritable(output, "--output")
    if output.exists() and not output.is_dir():
        raise OutputError(f"--output {output}: a file; choose another folder for the comparison")
    if (output / "config.yaml").exists():
        raise OutputError(f"--output {output}: holds a run; choose another folder for the comparison")
    inside = sorted(path.name for path in output.iterdir()) if output.exists() else []
    if inside and not _is_comparison(output, {task.cell.folder for task in tasks}):
        raise OutputError(
            f"--output {output}: not empty, and not a comparison of spa3d ({', '.join(inside[:5])}"
            f"{' ...' * (len(inside) > 5)}); choose another folder"
        )
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


def _is_comparison(output: Path, cells: Collection[Path]) -> bool:
    """Whether `output` has a comparison's table or run, or only new folders of `cells`."""
    if {"title", "rows", "budget"} <= _read_json(output / "compare.json").keys():
        return True
    inner = list(output.glob("cells/*"))
    started = any(read_saved_config(folder) or (folder / ERROR).is_file() for folder in inner)
    alone = [path.name for path in output.iterdir()] == ["cells"]
    return started or (alone and set(inner) <= set(cells))


def _read_json(path: Path) -> Mapping[str, Any]:
    """Read the object in a JSON file; empty if it is missing or broken."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}
