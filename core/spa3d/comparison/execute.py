"""Comparisons from settings, and their cells one after another: done ones are skipped, a failed one stops no other.

Everything that a comparison knows lies in the folders of its cells, so the same command after a kill goes on where it
was, and several processes may share a grid.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spa3d.comparison.cells import ERROR, Outcome, Task, outcome
from spa3d.comparison.document import Table
from spa3d.comparison.grid import AXES, make_grid
from spa3d.comparison.plan import plan_comparison
from spa3d.config.resolve import load_registry_of
from spa3d.config.sources import Settings
from spa3d.errors import ConfigError, RegistryError, SpaError
from spa3d.pipeline.execute import execute
from spa3d.registry.fields import show
from spa3d.registry.manifest import Axis, Budget
from spa3d.registry.registry import Registry, missed
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.progress import Reporter, Silent


@dataclass(frozen=True)
class ComparisonResult:
    """What came of a comparison.

    Attributes:
        folder: of compare.html, compare.md, compare.json and the cells.
        table: the figures, as compare.json has them.
        outcomes: of every cell: done, or failed with the reason.

    """

    folder: Path
    table: Table
    outcomes: Sequence[Outcome]


def compare(
    settings: Settings,
    axes: Mapping[Axis, Sequence[Any]] | None = None,
    *,
    preset: str = "",
    seeds: Sequence[int] = (),
    budget: Budget | None = None,
    output: Path | str | None = None,
) -> ComparisonResult:
    """Compare rows of settings under one budget, as ``spa3d compare`` does.

    Args:
        settings: of every cell.
        axes: what varies: ``{"objectives": ["sft", "spa"], "levels": [0.1, 0.5]}``.
        preset: a comparison of registry.yaml to begin with; an axis replaces the preset's of that name.
        seeds: of the runs of each row; none: 0, 1 and 2, or the preset's.
        budget: what the rows have in common; None: steps, or the preset's.
        output: the folder of cells and table; None: one under runs/. What is there is not run again.

    Raises:
        SpaError: any error of the settings. A cell that fails stops no other: its outcome has the reason.

    """
    registry = load_registry_of(settings)
    presets = registry.manifest.presets.compare
    if preset and preset not in presets:
        raise RegistryError(missed("comparison", preset, presets, "spa3d compare --help"))
    values = {axis: [show(value) for value in several] for axis, several in check_axes(axes or {}).items()}
    chosen = presets.get(preset)
    name = preset or "-".join(values.get("objectives", ("rows",)))
    grid = make_grid(name, chosen, values, seeds=seeds, budget=budget)
    folder = Path(output) if output is not None else Path("runs") / f"compare-{grid.name}"
    comparison = plan_comparison([settings], grid, registry=registry, output=folder, preset=chosen)
    outcomes: list[Outcome] = []
    run_cells(comparison.tasks, registry, reporter=lambda task: Silent(), finished=outcomes.append)
    return ComparisonResult(folder, comparison.write(command="spa3d.compare(…)"), outcomes)


def check_axes(axes: Mapping[Axis, Sequence[Any]]) -> Mapping[Axis, Sequence[Any]]:
    """`axes`, if a comparison knows them all.

    Raises:
        ConfigError: an unknown axis, with those that there are, or a text where several values are wanted.

    """
    errors = [f"axis {axis!r}: there are: {', '.join(AXES)}" for axis in axes if axis not in AXES]
    errors += [
        f"axis {axis!r}: {each!r} is one text; give a list" for axis, each in axes.items() if isinstance(each, str)
    ]
    if errors:
        raise ConfigError(errors)
    return axes


def run_cell(task: Task, registry: Registry, reporter: Reporter) -> Outcome:
    """Run one cell to its end, or to its error, which is kept in its folder."""
    folder = task.cell.folder
    (folder / ERROR).unlink(missing_ok=True)
    try:
        execute(task.config, registry, output=folder, resume=True, reporter=reporter)
    except Exception as error:  # whatever ends a cell must not end the others
        told = str(error) if isinstance(error, SpaError) else f"{type(error).__name__}: {error}"
        write_whole(folder / ERROR, f"{told}\n\n{traceback.format_exc()}")
    _free()
    return outcome(task)


def run_cells(
    tasks: Sequence[Task],
    registry: Registry,
    *,
    reporter: Callable[[Task], Reporter],
    finished: Callable[[Outcome], None],
) -> None:
    """Run those of `tasks` that are not done, in order; `finished` hears of each, those that are there included."""
    for task in tasks:
        found = outcome(task)
        finished(found if found.status == "done" else run_cell(task, registry, reporter(task)))


def _free() -> None:
    """Give back what the last cell held, of the device, too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
