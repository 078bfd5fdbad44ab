"""Cells on disk: where they lie, whose turn they are, what is skipped, and what a fault leaves behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import spa3d.comparison.execute
from spa3d.comparison.budget import Planned
from spa3d.comparison.cells import ERROR, Outcome, Row, Task, outcome, refuse_foreign_cells
from spa3d.comparison.execute import run_cells
from spa3d.comparison.plan import lay_out, share_of
from spa3d.config.resolve import resolve
from spa3d.config.settings import RunConfig
from spa3d.errors import ConfigError, DataError, OutputError
from spa3d.registry.registry import Registry, load_registry
from spa3d.runtime.progress import Silent


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)
    return resolve({"preset": "smoke"})


def tasks(
    config: RunConfig, output: Path, labels: Sequence[str] = ("sft", "spa"), seeds: Sequence[int] = (0,)
) -> list[Task]:
    return lay_out([Planned(Row(label, {}), config) for label in labels], seeds, output)


def finish(task: Task, *, status: str = "complete") -> None:
    """Leave what a run leaves that came to its end."""
    task.cell.folder.mkdir(parents=True, exist_ok=True)
    (task.cell.folder / "config.yaml").write_text(yaml.safe_dump(task.config.model_dump(mode="json")))
    (task.cell.folder / "report.json").write_text(json.dumps({"status": status, "timing": {"post-train": 1.5}}))


def test_every_row_is_run_once_before_any_is_repeated(config: RunConfig, tmp_path: Path) -> None:
    laid = tasks(config, tmp_path, ("spa, mask 0.25", "sft, 6 steps"), (0, 7))
    assert [(task.cell.index, task.cell.folder.relative_to(tmp_path).as_posix()) for task in laid] == [
        (0, "cells/spa-mask-0.25-s0"),
        (1, "cells/sft-6-steps-s0"),
        (2, "cells/spa-mask-0.25-s7"),
        (3, "cells/sft-6-steps-s7"),
    ]
    assert [task.config.seed for task in laid] == [0, 0, 7, 7]


def test_labels_that_differ_in_signs_only_keep_their_folders_apart(config: RunConfig, tmp_path: Path) -> None:
    names = [task.cell.folder.name for task in tasks(config, tmp_path, ("dpo (DA)", "dpo, da", "../..", "日本"))]
    assert names == ["dpo-da-s0", "dpo-da-2-s0", "row-s0", "row-4-s0"]


def test_shares_of_a_job_array_are_all_cells_once(config: RunConfig, tmp_path: Path) -> None:
    laid = tasks(config, tmp_path, ("a", "b", "c", "d", "e"))
    parts = [[task.cell.index for task in share_of(laid, f"{number}/3")] for number in (1, 2, 3)]
    assert parts == [[0, 3], [1, 4], [2]]


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/3"])
def test_a_share_that_is_none_is_refused(part: str) -> None:
    with pytest.raises(ConfigError, match=r"--cell .*: which share of the cells, as i/n"):
        share_of([], part)


def test_a_cell_is_done_only_if_it_is_complete_and_of_this_configuration(config: RunConfig, tmp_path: Path) -> None:
    (task,) = tasks(config, tmp_path, ("sft",))
    assert outcome(task).status == "to do"
    finish(task, status="interrupted")
    assert outcome(task).status == "to do"
    finish(task)
    assert outcome(task) == Outcome(task.cell, "done", seconds=1.5)
    other = Task(task.cell, config.model_copy(update={"seed": 9}))
    assert outcome(other).status == "to do"


def test_a_folder_with_cells_of_other_settings_is_refused(config: RunConfig, tmp_path: Path) -> None:
    old = tasks(config.model_copy(update={"threads": 3}), tmp_path)
    refuse_foreign_cells(tasks(config, tmp_path), tmp_path)
    finish(old[1])
    with pytest.raises(OutputError, match=r"its cells spa-s0 were run with other settings \(threads: 3 → "):
        refuse_foreign_cells(tasks(config, tmp_path), tmp_path)
    refuse_foreign_cells(tasks(config, tmp_path, ("sft", "dpo")), tmp_path)


def test_a_folder_that_holds_a_run_is_refused(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(OutputError, match="holds a run"):
        refuse_foreign_cells(tasks(config, tmp_path), tmp_path)


class Runs:
    """Stands in for runs: each cell does what was said of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, laid: Sequence[Task], **faults: BaseException) -> None:
        self.faults, self.begun = dict(faults), list[str]()
        self.tasks = {task.cell.folder: task for task in laid}
        monkeypatch.setattr(spa3d.comparison.execute, "execute", self)

    def __call__(self, config: RunConfig, registry: Registry, *, output: Path, **_: Any) -> Path:
        task = self.tasks[output]
        self.begun.append(task.cell.row.label)
        fault = self.faults.get(task.cell.row.label)
        if fault:
            raise fault
        finish(task)
        return output

    def go(self) -> list[tuple[str, str]]:
        told: list[Outcome] = []
        run_cells(list(self.tasks.values()), load_registry(), reporter=lambda _: Silent(), finished=told.append)
        return [(found.status, found.fault) for found in told]


def test_a_cell_that_fails_stops_no_other_and_says_why(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid = tasks(config, tmp_path, ("sft", "bad", "worse", "spa"))
    runs = Runs(monkeypatch, laid, bad=DataError("record 7: no cloud"), worse=ZeroDivisionError("by zero"))
    assert runs.go() == [
        ("done", ""),
        ("failed", "record 7: no cloud"),
        ("failed", "ZeroDivisionError: by zero"),
        ("done", ""),
    ]
    assert "Traceback" in (laid[2].cell.folder / ERROR).read_text()


def test_done_cells_are_skipped_and_failed_ones_tried_again(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(monkeypatch, tasks(config, tmp_path), spa=DataError("for now"))
    runs.go()
    runs.begun.clear()
    runs.faults.clear()
    assert runs.go() == [("done", ""), ("done", "")]
    assert runs.begun == ["spa"]
    assert not (tmp_path / "cells" / "spa-s0" / ERROR).exists()


def test_ctrl_c_is_no_fault_of_a_cell(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(monkeypatch, tasks(config, tmp_path), sft=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        runs.go()
    assert outcome(tasks(config, tmp_path)[0]).status == "to do"
