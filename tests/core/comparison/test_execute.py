"""Runs of cells: skipped ones, and traces of an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import spa3d.comparison.execute
from spa3d.comparison.budget import PlannedRow
from spa3d.comparison.cells import ERROR, Outcome, Row, Task, read_outcome
from spa3d.comparison.execute import run_cells
from spa3d.comparison.plan import plan_cells
from spa3d.config.settings import RunConfig
from spa3d.errors import DataError
from spa3d.registry.registry import Registry, load_registry
from spa3d.runtime.progress import SilentReporter


def tasks(
    config: RunConfig, output: Path, labels: Sequence[str] = ("sft", "spa"), seeds: Sequence[int] = (0,)
) -> list[Task]:
    return plan_cells([PlannedRow(Row(label, {}), config) for label in labels], seeds, output)


class Runs:
    """Fake runs: each cell finishes, or raises the given error."""

    def __init__(self, laid: Sequence[Task], finish: Callable[[Task], None], errors: dict[str, BaseException]) -> None:
        self.errors, self.begun, self.finish = errors, list[str](), finish
        self.tasks = {task.cell.folder: task for task in laid}

    def __call__(self, config: RunConfig, registry: Registry, *, output: Path, **_: Any) -> Path:
        task = self.tasks[output]
        self.begun.append(task.cell.row.label)
        error = self.errors.get(task.cell.row.label)
        if error:
            raise error
        self.finish(task)
        return output

    def go(self) -> list[tuple[str, str]]:
        outcomes: list[Outcome] = []
        run_cells(
            list(self.tasks.values()), load_registry(), reporter=lambda _: SilentReporter(), on_finish=outcomes.append
        )
        return [(outcome.status, outcome.error) for outcome in outcomes]


MakeRuns = Callable[..., Runs]


@pytest.fixture
def make_runs(monkeypatch: pytest.MonkeyPatch, finish: Callable[[Task], None]) -> MakeRuns:
    def make(laid: Sequence[Task], **errors: BaseException) -> Runs:
        runs = Runs(laid, finish, errors)
        monkeypatch.setattr(spa3d.comparison.execute, "execute", runs)
        return runs

    return make


def test_run_cells_continues_after_a_failed_cell(config: RunConfig, tmp_path: Path, make_runs: MakeRuns) -> None:
    laid = tasks(config, tmp_path, ("sft", "bad", "worse", "spa"))
    runs = make_runs(laid, bad=DataError("record 7: no cloud"), worse=ZeroDivisionError("by zero"))
    assert runs.go() == [
        ("done", ""),
        ("failed", "record 7: no cloud"),
        ("failed", "ZeroDivisionError: by zero"),
        ("done", ""),
    ]
    assert "Traceback" in (laid[2].cell.folder / ERROR).read_text()


def test_run_cells_skips_finished_and_repeats_failed_cells(
    config: RunConfig, tmp_path: Path, make_runs: MakeRuns
) -> None:
    runs = make_runs(tasks(config, tmp_path), spa=DataError("for now"))
    runs.go()
    runs.begun.clear()
    runs.errors.clear()
    assert runs.go() == [("done", ""), ("done", "")]
    assert runs.begun == ["spa"]
    assert not (tmp_path / "cells" / "spa-s0" / ERROR).exists()


def test_run_cells_keyboard_interrupt_writes_no_error(config: RunConfig, tmp_path: Path, make_runs: MakeRuns) -> None:
    runs = make_runs(tasks(config, tmp_path), sft=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        runs.go()
    assert read_outcome(tasks(config, tmp_path)[0]).status == "to do"
