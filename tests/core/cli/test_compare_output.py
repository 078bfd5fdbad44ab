"""Lists of cells, with the times that finished cells have measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from spa3d.cli.compare_output import estimate_times, show_cells
from spa3d.comparison.cells import Cell, Outcome, Row, Task
from spa3d.config.resolve import resolve
from spa3d.rendering.numbers import NOTHING


def make_tasks(folder: Path) -> list[Task]:
    config = resolve({"objective": "fit"})
    return [
        Task(Cell(Row(label, {}), seed, 2 * seed + number, folder / f"{label}-{seed}"), config)
        for seed in (0, 1)
        for number, label in enumerate(("sft", "spa"))
    ]


def finish(task: Task) -> None:
    task.cell.folder.mkdir()
    timing = {"base": 900.0, "base: llm": 800.0, "evaluate before": 30.0, "post-train": 100.0}
    (task.cell.folder / "report.json").write_text(json.dumps({"status": "complete", "timing": timing}))
    (task.cell.folder / "config.yaml").write_text(yaml.safe_dump(task.config.model_dump(mode="json")))


def test_estimate_times_is_the_mean_of_finished_cells_of_a_row() -> None:
    row = Row("sft", {})
    cells = [Cell(row, seed, seed, Path(str(seed))) for seed in range(3)]
    outcomes = [Outcome(cell, "done", duration=10.0 * (cell.seed + 1)) for cell in cells[:2]]
    assert estimate_times([*outcomes, Outcome(cells[2], "to do")]) == {"sft": 15.0}


def test_show_cells_gives_times_only_if_some_were_measured(
    tmp_path: Path, toy_registry: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # folders of tests are long
    tasks = make_tasks(tmp_path)
    show_cells(tasks, tasks)
    printed = capsys.readouterr().out
    assert "time" not in printed
    assert "min" not in printed
    finish(tasks[0])
    show_cells(tasks, tasks)
    _, *rows, _, last = capsys.readouterr().out.splitlines()
    assert [row.rsplit("  ", 1)[1].strip() for row in rows] == ["2 min 10 s", NOTHING, "~ 2 min 10 s", NOTHING]
    assert last == "~ 2 min 10 s for 1 of 3 cells to do, as long as finished cells of the same row took"
