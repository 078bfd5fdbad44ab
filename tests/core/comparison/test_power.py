"""Power of planned comparisons: planned questions, pilots, and the worst case without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spa3d.comparison.cells import Cell, Row, Task
from spa3d.comparison.power import PlannedPower, plan_power
from spa3d.config.settings import RunConfig
from spa3d.errors import DataError
from spa3d.metrics.sample_size import PairedVariance
from spa3d.registry.registry import load_registry

CHOICE = ("choice", "test")


@pytest.fixture
def tasks(config: RunConfig, tmp_path: Path):
    """SFT and SPA with two seeds, none of them run; eight questions per set."""
    small = config.model_copy(update={"evaluate": config.evaluate.model_copy(update={"limit": 8})})
    rows = (Row("sft", {}), Row("spa", {}, control="sft"))
    return [
        Task(Cell(row, seed, 2 * seed + number, tmp_path / "new" / f"{row.label}-{seed}"), small)
        for seed in (0, 1)
        for number, row in enumerate(rows)
    ]


def by_subset(powers):
    return {power.subset: power for power in powers}


def test_planned_power_by_hand():
    power = PlannedPower(CHOICE, 1000, 500, 2, 10, PairedVariance(0.25, 2.0, 0.5), "")
    assert power.sees == pytest.approx(2.801585 * (0.25 * 2 * 0.75 / 1000) ** 0.5)
    assert power.sees_corrected == pytest.approx(3.648655 * (0.25 * 2 * 0.75 / 1000) ** 0.5)
    assert power.seeds_needed(power.sees) == 2


def test_plan_power_without_a_pilot_assumes_the_worst_case(tasks):
    powers = plan_power(tasks, load_registry())
    assert {power.subset[0] for power in powers} == {"choice", "classify", "caption"}
    assert {power.comparisons for power in powers} == {len(powers)}, "one row has a control"
    power = by_subset(powers)[CHOICE]
    assert (power.questions, power.seeds, power.basis) == (8, 2, "")
    assert power.variance.single == 0.25
    assert by_subset(powers)["choice", "flip"].questions == 8, "a pair counts once"


def test_plan_power_takes_the_variance_of_another_comparison(tasks, three_rows):
    three_rows.write()
    power = by_subset(plan_power(tasks, load_registry(), pilot=three_rows.folder))[CHOICE]
    assert power.basis == "twins against sft, 3 seeds, 80 questions", "the row whose differences vary most"
    assert power.questions == 8, "the questions are those of the plan"
    assert power.variance.single == pytest.approx(0.22, abs=0.06)  # 0.3 rise: 0.3 * 0.7, and two clusters added
    assert power.variance.correlation > 0.5, "the same questions rise with every seed"


def test_plan_power_takes_the_variance_of_a_run(tasks, three_rows):
    folder = three_rows.folder / "cells" / "006"
    power = by_subset(plan_power(tasks, load_registry(), pilot=folder))[CHOICE]
    assert power.basis == f"change by post-training in {folder}, 1 seed, 80 questions"
    assert power.variance.correlation == 1.0
    assert by_subset(plan_power(tasks, load_registry(), pilot=folder))["classify", "test"].basis == ""


def test_plan_power_refuses_a_pilot_without_results(tasks, tmp_path, grid):
    with pytest.raises(DataError, match="neither a compare"):
        plan_power(tasks, load_registry(), pilot=tmp_path)
    (tmp_path / "compare.json").write_text("[]")
    with pytest.raises(DataError, match=r"compare.json: is no table of a comparison"):
        plan_power(tasks, load_registry(), pilot=tmp_path)
    grid.add("spa", {"choice": 0.6}, control="sft").write()
    assert json.loads((tmp_path / "compare.json").read_text())["family"]["comparisons"] == 0
    with pytest.raises(DataError, match="none of its rows has a finished control"):
        plan_power(tasks, load_registry(), pilot=tmp_path)
