"""State of a cell from its folder: done, to do, failed, or of other settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from spa3d.comparison.cells import ERROR, Cell, Outcome, Row, Task, read_outcome, refuse_foreign_cells
from spa3d.config.settings import RunConfig
from spa3d.errors import OutputError

Finish = Callable[..., None]


def tasks(config: RunConfig, output: Path, labels: Sequence[str] = ("sft", "spa")) -> list[Task]:
    return [
        Task(Cell(Row(label, {}), 0, index, output / "cells" / f"{label}-s0"), config)
        for index, label in enumerate(labels)
    ]


def test_read_outcome_is_done_if_complete_with_the_same_configuration(
    config: RunConfig, finish: Callable[..., None], tmp_path: Path
) -> None:
    (task,) = tasks(config, tmp_path, ("sft",))
    assert read_outcome(task).status == "to do"
    finish(task, status="interrupted")
    assert read_outcome(task).status == "to do"
    finish(task)
    assert read_outcome(task) == Outcome(task.cell, "done", seconds=1.5)
    other = Task(task.cell, config.model_copy(update={"seed": 9}))
    assert read_outcome(other).status == "to do"


def test_refuse_foreign_cells_of_other_settings(config: RunConfig, finish: Callable[..., None], tmp_path: Path) -> None:
    old = tasks(config.model_copy(update={"threads": 3}), tmp_path)
    refuse_foreign_cells(tasks(config, tmp_path), tmp_path)
    finish(old[1])
    with pytest.raises(OutputError, match=r"its cells spa-s0 were run with other settings \(threads: 3 → "):
        refuse_foreign_cells(tasks(config, tmp_path), tmp_path)
    refuse_foreign_cells(tasks(config, tmp_path, ("sft", "dpo")), tmp_path)


def test_refuse_foreign_cells_in_the_folder_of_a_run(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(OutputError, match="holds a run"):
        refuse_foreign_cells(tasks(config, tmp_path), tmp_path)


def test_read_outcome_of_a_failed_cell_has_the_error(config: RunConfig, tmp_path: Path) -> None:
    (task,) = tasks(config, tmp_path, ("sft",))
    task.cell.folder.mkdir(parents=True)
    (task.cell.folder / ERROR).write_text("record 7: no cloud\n\nTraceback")
    assert read_outcome(task) == Outcome(task.cell, "failed", "record 7: no cloud")
