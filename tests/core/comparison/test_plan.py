"""Cells of a comparison: folders, order, and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from spa3d.comparison.budget import PlannedRow
from spa3d.comparison.cells import Row, Task
from spa3d.comparison.grid import make_grid
from spa3d.comparison.plan import Comparison, plan_cells, plan_comparison, share_of
from spa3d.config.resolve import resolve
from spa3d.config.settings import RunConfig
from spa3d.errors import ConfigError
from spa3d.registry.manifest import Axis, ComparePreset, CompareRow
from spa3d.registry.registry import load_registry

SMOKE = {"preset": "smoke", "device": "cpu", "benchmark": "choice", "evaluate": {"limit": 8}}


def tasks(
    config: RunConfig, output: Path, labels: Sequence[str] = ("sft", "spa"), seeds: Sequence[int] = (0,)
) -> list[Task]:
    return plan_cells([PlannedRow(Row(label, {}), config) for label in labels], seeds, output)


def test_plan_cells_runs_every_row_before_the_next_seed(config: RunConfig, tmp_path: Path) -> None:
    laid = tasks(config, tmp_path, ("spa, mask 0.25", "sft, 6 steps"), (0, 7))
    assert [(task.cell.index, task.cell.folder.relative_to(tmp_path).as_posix()) for task in laid] == [
        (0, "cells/spa-mask-0.25-s0"),
        (1, "cells/sft-6-steps-s0"),
        (2, "cells/spa-mask-0.25-s7"),
        (3, "cells/sft-6-steps-s7"),
    ]
    assert [task.config.seed for task in laid] == [0, 0, 7, 7]


def test_plan_cells_numbers_equal_folder_names(config: RunConfig, tmp_path: Path) -> None:
    names = [task.cell.folder.name for task in tasks(config, tmp_path, ("dpo (DA)", "dpo, da", "../..", "日本"))]
    assert names == ["dpo-da-s0", "dpo-da-2-s0", "row-s0", "row-4-s0"]


def test_share_of_covers_every_cell_once(config: RunConfig, tmp_path: Path) -> None:
    laid = tasks(config, tmp_path, ("a", "b", "c", "d", "e"))
    parts = [[task.cell.index for task in share_of(laid, f"{number}/3")] for number in (1, 2, 3)]
    assert parts == [[0, 3], [1, 4], [2]]


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/3"])
def test_share_of_rejects_malformed_shares(part: str) -> None:
    with pytest.raises(ConfigError, match=r"--cell .*: expected i/n with i from 1 to n"):
        share_of([], part)


@pytest.fixture
def _shipped_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)


def make_plan(
    output: Path,
    axes: Mapping[Axis, Sequence[str]],
    *settings: Mapping[str, Any],
    preset: ComparePreset | None = None,
) -> Comparison:
    grid = make_grid("mine", preset, axes, seeds=(0,))
    return plan_comparison((SMOKE, *settings), grid, registry=load_registry(), output=output, preset=preset)


@pytest.mark.usefixtures("_shipped_registry")
def test_plan_comparison_lays_rows_over_mappings(tmp_path: Path) -> None:
    axes: Mapping[Axis, Sequence[str]] = {"objectives": ("sft", "spa"), "levels": ("0.1", "0.5")}
    comparison = make_plan(tmp_path, axes, {"noise": {"name": "gaussian", "level": 0.9}, "train.steps": 2})
    expected = resolve(SMOKE, {"noise": "gaussian", "noise.level": 0.1, "objective": "spa", "train.steps": 2})
    assert [task.cell.row.label for task in comparison.tasks] == ["sft", "spa, level 0.1", "spa, level 0.5"]
    assert comparison.tasks[1].config == expected
    assert comparison.tasks[1].cell.row.control == "sft"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_shipped_registry")
def test_plan_comparison_keeps_settings_of_the_rows_objective_from_sft(tmp_path: Path) -> None:
    comparison = make_plan(tmp_path, {"objectives": ("spa",)}, {"objective": {"name": "spa"}, "objective.beta": 0.3})
    assert [task.config.objective.requested for task in comparison.tasks] == ["spa", "sft"]
    assert comparison.tasks[0].config.objective.config["beta"] == 0.3


@pytest.mark.usefixtures("_shipped_registry")
@pytest.mark.parametrize(
    ("axes", "settings", "words"),
    [
        ({"objectives": ("sft", "spo")}, {}, "--objective spo: no objective 'spo'"),
        ({"objectives": ("sft", "dpo")}, {}, "dpo: --objective dpo: it needs rejected answers"),
        ({"objectives": ("sft", "spa")}, {"train": {"stepz": 3}}, "train.stepz: no field 'stepz'"),
        (
            {"objectives": ("spa",), "levels": ("0.1",)},
            {"evaluate.decode": "contrast"},
            "--evaluate.decode contrast:",
        ),
    ],
)
def test_plan_comparison_reports_each_error_once(
    axes: Mapping[Axis, Sequence[str]], settings: Mapping[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan(tmp_path, axes, settings)
    assert str(caught.value).startswith(words)
    assert len(caught.value.errors) == 1


@pytest.mark.usefixtures("_shipped_registry")
def test_plan_comparison_rejects_a_value_of_a_switch(tmp_path: Path) -> None:
    preset = ComparePreset(rows=[CompareRow(settings={"objective": "sft", "blind": "yes"})])
    with pytest.raises(ConfigError, match=r"^--blind=yes: --blind takes no value$"):
        make_plan(tmp_path, {}, preset=preset)
