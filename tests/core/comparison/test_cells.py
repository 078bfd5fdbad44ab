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
    assert read_outcome(task) == Outcome(task.cell, "done", seconds=1.5, duration=4.0)
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


@pytest.mark.parametrize("name", ["notes.txt", "cells/mine/photo.png", "compare.json", ".git/config"])
def test_refuse_foreign_cells_in_a_folder_with_other_files(config: RunConfig, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("{}")
    top = name.partition("/")[0]
    with pytest.raises(OutputError, match=rf"not empty, and not a comparison of spa3d \({top}\); choose"):
        refuse_foreign_cells(tasks(config, tmp_path), tmp_path)


def test_refuse_foreign_cells_accepts_a_comparison(
    config: RunConfig, finish: Callable[..., None], tmp_path: Path
) -> None:
    some = tasks(config, tmp_path)
    refuse_foreign_cells(some, tmp_path)
    some[0].cell.folder.mkdir(parents=True)  # as another process begins it at this moment
    refuse_foreign_cells(some, tmp_path)
    finish(some[0])
    (tmp_path / "job.log").write_text("")
    refuse_foreign_cells(some, tmp_path)
    refuse_foreign_cells(tasks(config, tmp_path, ("dpo",)), tmp_path)


def test_refuse_foreign_cells_where_no_folder_can_be(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for output, message in (
        (tmp_path / "file", "a file; choose another folder"),
        (tmp_path / "file" / "c", "is a file"),
    ):
        with pytest.raises(OutputError, match=rf"^--output {output}: .*{message}"):
            refuse_foreign_cells(tasks(config, output), output)


def test_read_outcome_of_a_failed_cell_has_the_error(config: RunConfig, tmp_path: Path) -> None:
    (task,) = tasks(config, tmp_path, ("sft",))
    task.cell.folder.mkdir(parents=True)
    (task.cell.folder / ERROR).write_text("record 7: no cloud\n\nTraceback")
    assert read_outcome(task) == Outcome(task.cell, "failed", "record 7: no cloud")
