"""Run comparisons cell by cell; skip finished cells and continue after failed ones.

The state of a comparison is only in the folders of its cells. So the same command continues after a kill, and several
processes can share a grid.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa3d.comparison.cells import ERROR, Outcome, Task, read_outcome
from spa3d.comparison.document import Table
from spa3d.comparison.grid import AXES, make_grid
from spa3d.comparison.plan import plan_comparison
from spa3d.config.resolve import load_registry_of
from spa3d.config.sources import Settings, read_source
from spa3d.errors import ConfigError, RegistryError, SpaError
from spa3d.pipeline.execute import execute
from spa3d.registry.fields import show
from spa3d.registry.manifest import Axis, Budget
from spa3d.registry.registry import Registry, describe_missing
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.device import free_memory
from spa3d.runtime.progress import Reporter, SilentReporter


@dataclass(frozen=True)
class ComparisonResult:
    """Result of a comparison.

    Attributes:
        folder: folder of compare.html, compare.md, compare.json and the cells.
        table: the figures, as in compare.json.
        outcomes: state of every cell: done, or failed with the reason.

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
        settings: settings of every cell.
        axes: names of axes and their values: ``{"objectives": ["sft", "spa"], "levels": [0.1, 0.5]}``.
        preset: a comparison of registry.yaml to start from; an axis in `axes` replaces the preset's of that name.
        seeds: seeds of each row; empty: the preset's, or 0, 1 and 2.
        budget: the budget that all rows share; None: the preset's, or steps.
        output: folder of the cells and the table; None: one under runs/. Finished cells in it are not run again.

    Raises:
        SpaError: any error of the settings. A failed cell raises nothing; its outcome has the reason.

    """
    source = read_source(settings)
    registry = load_registry_of(source)
    presets = registry.manifest.presets.compare
    if preset and preset not in presets:
        raise RegistryError(describe_missing("comparison", preset, presets, "spa3d compare --help"))
    values = {axis: [show(value) for value in several] for axis, several in check_axes(axes or {}).items()}
    chosen = presets.get(preset)
    name = preset or "-".join(values.get("objectives", ("rows",)))
    grid = make_grid(name, chosen, values, seeds=seeds, budget=budget)
    folder = Path(output) if output is not None else Path("runs") / f"compare-{grid.name}"
    comparison = plan_comparison([source], grid, registry=registry, output=folder, preset=chosen)
    outcomes: list[Outcome] = []
    run_cells(comparison.tasks, registry, reporter=lambda task: SilentReporter(), on_finish=outcomes.append)
    return ComparisonResult(folder, comparison.write(command="spa3d.compare(…)"), outcomes)


def check_axes(axes: Mapping[Axis, Sequence[Any]]) -> Mapping[Axis, Sequence[Any]]:
    """Return `axes` if all of them exist.

    Raises:
        ConfigError: an axis is unknown (the message lists those that exist), or its values are a single text.

    """
    errors = [f"axis {axis!r}: there are: {', '.join(AXES)}" for axis in axes if axis not in AXES]
    errors += [
        f"axis {axis!r}: {each!r} is one text; give a list" for axis, each in axes.items() if isinstance(each, str)
    ]
    if errors:
        raise ConfigError(errors)
    return axes


def run_cell(task: Task, registry: Registry, reporter: Reporter) -> Outcome:
    """Run one cell; an error is written to error.txt in its folder."""
    folder = task.cell.folder
    (folder / ERROR).unlink(missing_ok=True)
    try:
        execute(task.config, registry, output=folder, resume=True, reporter=reporter)
    except Exception as error:  # any error of a cell must leave the others running
        message = str(error) if isinstance(error, SpaError) else f"{type(error).__name__}: {error}"
        write_whole(folder / ERROR, f"{message}\n\n{traceback.format_exc()}")
    free_memory()
    return read_outcome(task)


def run_cells(
    tasks: Sequence[Task],
    registry: Registry,
    *,
    reporter: Callable[[Task], Reporter],
    on_finish: Callable[[Outcome], None],
) -> None:
    """Run the unfinished `tasks` in order; call `on_finish` for every task, skipped or not."""
    for task in tasks:
        state = read_outcome(task)
        on_finish(state if state.status == "done" else run_cell(task, registry, reporter(task)))
