"""Every cell of a comparison, built and checked before the first one runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spa3d.comparison.budget import Candidate, Planned, budgeted
from spa3d.comparison.cells import Cell, Task, outcome, refuse_foreign_cells
from spa3d.comparison.document import Table
from spa3d.comparison.grid import Draft, Grid, RowSettings, expand
from spa3d.comparison.table import TableSettings, write_table
from spa3d.config.overrides import SWITCHES, Flag, source_of_flags
from spa3d.config.resolve import resolve
from spa3d.config.settings import RunConfig
from spa3d.config.sources import Settings, read_source
from spa3d.contracts.objective import Need, asks_for_pairs
from spa3d.data.preference_pairs import read_pairs
from spa3d.errors import ConfigError, SpaError
from spa3d.pipeline.assemble import assemble, make_execution
from spa3d.registry.manifest import ComparePreset
from spa3d.registry.registry import Registry


@dataclass(frozen=True)
class Comparison:
    """A planned comparison: its grid, every cell with its configuration, and the folder of its table."""

    grid: Grid
    preset: ComparePreset | None
    tasks: Sequence[Task]
    output: Path

    def write(self, *, command: str) -> Table:
        """Write the table of what is there, headed by the command that makes it, and return it."""
        settings = TableSettings(
            title=f"Comparison {self.grid.name}",
            budget=self.grid.budget,
            command=command,
            bootstrap=self.tasks[0].config.evaluate.bootstrap,
            preset=self.preset,
        )
        return write_table(self.output, [outcome(task) for task in self.tasks], settings)


def plan_comparison(
    settings: Sequence[Settings],
    grid: Grid,
    *,
    registry: Registry,
    output: Path,
    preset: ComparePreset | None = None,
) -> Comparison:
    """Every cell of a comparison with its configuration; all of them are built once before the first one runs.

    Args:
        settings: what every cell is given, as mappings that `spa3d.config.resolve.resolve` takes, the weakest first.
        grid: rows, axes, seeds and budget.
        registry: what can be chosen.
        output: the folder of cells and table.
        preset: the comparison that the grid began with, for the caption of the table.

    Raises:
        ConfigError: everything that is wrong with any of the cells.
        OutputError: the folder holds something else.

    """
    rows = _Rows(settings, registry)
    drafts = expand(grid, rows.needs)
    made: dict[str, Candidate] = {}
    errors: dict[str, list[str]] = {}
    for draft in drafts:
        try:
            made[draft.label] = rows.candidate(draft)
        except SpaError as error:
            for line in str(error).splitlines():
                errors.setdefault(line, []).append(draft.label)
    if errors:
        everywhere = len(drafts)
        raise ConfigError(
            [line if len(labels) == everywhere else f"{'; '.join(labels)}: {line}" for line, labels in errors.items()]
        )
    tasks = lay_out(budgeted(list(made.values()), grid.budget, _control(settings, registry)), grid.seeds, output)
    refuse_foreign_cells(tasks, output)
    return Comparison(grid, preset, tasks, output)


def lay_out(planned: Sequence[Planned], seeds: Sequence[int], output: Path) -> list[Task]:
    """The cells: every row with the first seed, then every row with the next, so that a table is soon whole."""
    slugs = _slugs([one.row.label for one in planned])
    tasks: list[Task] = []
    for seed in seeds:
        for one, slug in zip(planned, slugs, strict=True):
            folder = output / "cells" / f"{slug}-s{seed}"
            config = one.config.model_copy(update={"seed": seed})
            tasks.append(Task(Cell(one.row, seed, len(tasks), folder), config))
    return tasks


def share_of(tasks: Sequence[Task], part: str) -> list[Task]:
    """Those of ``--cell i/n``: every n-th, from the i-th on, counted from 1.

    Raises:
        ConfigError: `part` is no such share.

    """
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", part)
    if not found or int(found[1]) > int(found[2]):
        raise ConfigError(f"--cell {part}: which share of the cells, as i/n with i from 1 to n, such as 1/4")
    first, every = int(found[1]), int(found[2])
    return [task for task in tasks if task.cell.index % every == first - 1]


@dataclass(frozen=True)
class _Rows:
    """Makes rows over settings that all of them share."""

    settings: Sequence[Settings]
    registry: Registry

    def config(self, row: RowSettings) -> RunConfig:
        """The shared settings with those of the row over them."""
        valued = [f"--{key}={value}: --{key} takes no value" for key, value in row.items() if key in SWITCHES]
        if valued:
            raise ConfigError(valued)
        flags = [Flag(key, value) for key, value in row.items()]
        return resolve(*self.settings, source_of_flags(flags), registry=self.registry)

    def needs(self, row: RowSettings) -> Sequence[Need]:
        """What the objective of the row wants scored."""
        chosen = self.config(row).objective
        objective = self.registry.target(self.registry.get("objective", chosen.component))
        needs: Sequence[Need] = objective(**chosen.config).needs
        return needs

    def candidate(self, draft: Draft) -> Candidate:
        """The row with its live parts tried once, and the number of items that it trains on."""
        config = self.config(draft.settings)
        parts = assemble(config, self.registry, make_execution(config, self.registry))
        items = len(parts.dataset.records("train"))
        needs, pairs = parts.objective.needs, config.pairs
        if asks_for_pairs(needs):
            items = len(read_pairs(Path(pairs.path))) if pairs.path else min(items, pairs.limit or items)
        return Candidate(draft.label, draft.settings, config, needs, items)


def _control(settings: Sequence[Settings], registry: Registry) -> Callable[[RowSettings], Candidate]:
    """SFT beside given settings; what is said of the rows' own objective is none of its business."""
    rows = _Rows([read_source(each).without("objective") for each in settings], registry)
    made: dict[tuple[tuple[str, str], ...], Candidate] = {}

    def control(row: RowSettings) -> Candidate:
        key = tuple(sorted(row.items()))
        if key not in made:
            made[key] = rows.candidate(Draft({"objective": "sft", **row}, "sft"))
        return made[key]

    return control


def _slugs(labels: Sequence[str]) -> list[str]:
    """Names of folders; labels that differ in signs only are numbered."""
    slugs: list[str] = []
    for label in labels:
        slug = re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-.") or "row"
        slugs.append(slug if slug not in slugs else f"{slug}-{len(slugs) + 1}")
    return slugs
