"""Finished runs made by hand: the few files of a run's folder that a comparison reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from spa3d.comparison.cells import Cell, Outcome, Row, Task
from spa3d.comparison.table import TableSettings, build_table, write_table
from spa3d.config.resolve import resolve
from spa3d.config.settings import RunConfig
from spa3d.runtime.rng import keyed_generator

RECORDS = 40
BASE = 0.6


def share_right(folder: Path, name: str, when: str, share: float, *, sets, key) -> None:
    """Two questions per record; the same ones are right in every run with the same `share`."""
    rows = []
    for part in sets:
        luck = keyed_generator("luck", name, part).random((2 * RECORDS, 2))
        nudges = keyed_generator("nudge", name, part, key, when).normal(0, 0.03, 2 * RECORDS)
        for i in range(2 * RECORDS):
            for view, right in (("clean", luck[i, 0] + nudges[i] < share), ("blind", luck[i, 1] < 0.3)):
                rows.append({
                    "id": f"{part}-{i}", "record": f"r{i // 2}", "kind": "color", "set": part,
                    "pair": f"p{i // 2}" if part == "flip" else None, "view": view, "value": float(right),
                    "valid": True, "chance": 0.25, "options": ["red", "blue"], "answer": "red", "text": "red",
                })  # fmt: skip
    path = folder / "predictions" / f"{name}.{when}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def finish_cell(folder: Path, shares, *, seed=0, drift=-0.01, warnings=(), sets=("test", "counterfactual", "flip")):
    """A run's folder: benchmark to its share of right answers after post-training."""
    for name, share in shares.items():
        share_right(folder, name, "before", BASE, sets=sets, key=0)
        share_right(folder, name, "after", share, sets=sets, key=seed + 1)
    report = {
        "benchmarks": {name: {} for name in shares},
        "training": {"warnings": list(warnings), "health": {"repetition": {"first": 0.0, "last": 0.04}}},
        "timing": {"post-train": 41.5},
    }
    probes = [
        {"stage": "post-train", "step": step, "probe": True, "logp_clean": logp, "margin": margin, "saturation": 0.25}
        for step, logp, margin in ((0, -0.3, 0.5), (20, -0.3 + drift, 1.5))
    ]
    probes += [{"stage": "post-train", "step": step, "noise_level": level} for step, level in ((10, 0.24), (20, 0.28))]
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in probes), encoding="utf-8")
    (folder / "config.yaml").write_text(yaml.safe_dump({"train": {"learning_rate": 1e-5}}), encoding="utf-8")


class Grid:
    """Rows with their runs under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.outcomes = folder, []

    def add(self, label, shares, *, seeds=(0, 1, 2), control="sft", settings=None, role="row", **more):
        """A row; `shares` as for `finish_cell`, or the reason why none of its cells is done."""
        row = Row(label, settings or {"objective": label}, role, control)
        for seed in seeds:
            index = len(self.outcomes)
            cell = Cell(row, seed, index, self.folder / "cells" / f"{index:03d}")
            if isinstance(shares, str):
                self.outcomes.append(Outcome(cell, "failed" if shares else "to do", shares))
                continue
            cell.folder.mkdir(parents=True)
            finish_cell(cell.folder, shares, seed=seed, **more)
            self.outcomes.append(Outcome(cell, "done", "", 12.5))
        return self

    def settings(self, **more):
        known = {"title": "table4 on shapes", "budget": "compute", "command": "spa3d compare --preset table4",
                 "preset": None, "bootstrap": 200}  # fmt: skip
        return TableSettings(**(known | more))

    def table(self, **more):
        return build_table(self.folder, self.outcomes, self.settings(**more))

    def write(self, **more):
        return write_table(self.folder, self.outcomes, self.settings(**more))


@pytest.fixture
def grid(tmp_path):
    return Grid(tmp_path)


@pytest.fixture
def three_rows(grid):
    """SFT as control, one row far above it, one like it."""
    grid.add("sft", {"choice": BASE, "caption": BASE}, control="", role="control")
    grid.add("spa", {"choice": BASE, "caption": BASE})
    return grid.add("twins", {"choice": 0.9, "caption": 0.4}, warnings=("held-out log p fell",))


@pytest.fixture
def paper():
    return SimpleNamespace(paper={"SFT": {"CLIP": 50.1}, "SPA": {"CLIP": 53.2, "GPT": 49.0}}, caption="Table 4")


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """A small run of what ships."""
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)
    return resolve({"preset": "smoke"})


@pytest.fixture
def finish() -> Callable[..., None]:
    """Leave what a run leaves that came to its end."""

    def finish(task: Task, *, status: str = "complete") -> None:
        task.cell.folder.mkdir(parents=True, exist_ok=True)
        (task.cell.folder / "config.yaml").write_text(yaml.safe_dump(task.config.model_dump(mode="json")))
        timing = {"base": 90.0, "base: llm": 80.0, "evaluate before": 2.5, "post-train": 1.5}
        (task.cell.folder / "report.json").write_text(json.dumps({"status": status, "timing": timing}))

    return finish
