"""Plans of comparisons: every cell is configured and built once before the first one runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spa3d.comparison.budget import Candidate, PlannedRow, apply_budget
from spa3d.comparison.cells import Cell, Task, read_outcome, refuse_foreign_cells
from spa3d.comparison.document import Table
from spa3d.comparison.grid import Draft, Grid, RowSettings, expand
from spa3d.comparison.table import TableSettings, write_table
from spa3d.config.overrides import SWITCHES, Flag, source_of_flags
from spa3d.config.resolve import resolve
from spa3d.config.settings import RunConfig
from spa3d.config.sources import Settings, read_source
from spa3d.contracts.objective import Need, asks_for_pairs
from spa3d.data.preference_pairs import read_pairs
from spa3d.errors import ConfigError, SpaError, contain_exit
from spa3d.pipeline.assemble import assemble, make_execution
from spa3d.registry.manifest import ComparePreset
from spa3d.registry.registry import Registry
from spa3d.runtime.shards import Shard


@dataclass(frozen=True)
class Comparison:
    """A planned comparison: grid, cells with their configurations, folder of the table."""

    grid: Grid
    preset: ComparePreset | None
    tasks: Sequence[Task]
    output: Path

    def write(self, *, command: str) -> Table:
        """Write the table of the finished cells and return it; `command` is quoted in it."""
        settings = TableSettings(
            title=f"Comparison {self.grid.name}",
            budget=self.grid.budget,
            command=command,
            bootstrap=self.tasks[0].config.evaluate.bootstrap,
            preset=self.preset,
        )
        return write_table(self.output, [read_outcome(task) for task in self.tasks], settings)


@contain_exit()
def plan_comparison(
    settings: Sequence[Settings],
    grid: Grid,
    *,
    registry: Registry,
    output: Path,
    preset: ComparePreset | None = None,
) -> Comparison:
    """Plan a comparison: configure every cell, and build each once to find errors early.

    Args:
        settings: settings of every cell, as `spa3d.config.resolve.resolve` takes them, the weakest first.
        grid: rows, axes, seeds and budget.
        registry: components and presets that can be chosen.
        output: the folder of cells and table.
        preset: the preset of the grid, for the caption of the table.

    Raises:
        ConfigError: all errors of all cells.
        OutputError: the folder contains a run, or cells of other settings.

    """
    rows = _Rows(settings, registry)
    drafts = expand(grid, rows.needs)
    candidates: dict[str, Candidate] = {}
    errors: dict[str, list[str]] = {}
    for draft in drafts:
        try:
            candidates[draft.label] = rows.candidate(draft)
        except SpaError as error:
            for line in str(error).splitlines():
                errors.setdefault(line, []).append(draft.label)
    if errors:
        raise ConfigError(
            [line if len(labels) == len(drafts) else f"{'; '.join(labels)}: {line}" for line, labels in errors.items()]
        )
    planned = apply_budget(list(candidates.values()), grid.budget, _make_control(settings, registry))
    _refuse_mixed_decoding([entry.config for entry in planned])
    tasks = plan_cells(planned, grid.seeds, output)
    refuse_foreign_cells(tasks, output)
    return Comparison(grid, preset, tasks, output)


def _refuse_mixed_decoding(configs: Sequence[RunConfig]) -> None:
    """Refuse rows whose answers would be contrasted with different noises."""
    noises = {str(config.noise.model_dump()) for config in configs}
    if any(config.evaluate.decode == "contrast" for config in configs) and len(noises) > 1:
        raise ConfigError(
            "--evaluate.decode contrast: the rows have different noises, so their answers would be decoded "
            "differently; leave it out, or compare rows with one noise"
        )


def plan_cells(planned: Sequence[PlannedRow], seeds: Sequence[int], output: Path) -> list[Task]:
    """Lay out the cells: all rows with the first seed, then all rows with the next one."""
    slugs = _make_slugs([entry.row.label for entry in planned])
    tasks: list[Task] = []
    for seed in seeds:
        for entry, slug in zip(planned, slugs, strict=True):
            folder = output / "cells" / f"{slug}-s{seed}"
            config = entry.config.model_copy(update={"seed": seed})
            tasks.append(Task(Cell(entry.row, seed, len(tasks), folder), config))
    return tasks


def share_of(tasks: Sequence[Task], part: str) -> list[Task]:
    """Select the tasks of ``--cell i/n``: every n-th, starting with the i-th, counted from 1.

    Raises:
        ConfigError: `part` is not ``i/n`` with 1 ≤ i ≤ n.

    """
    shard = Shard.parse(part, "--cell", "this process runs every n-th cell")
    return [task for task in tasks if task.cell.index % shard.count == shard.number - 1]


@dataclass(frozen=True)
class _Rows:
    """Builds rows on settings that all of them share."""

    settings: Sequence[Settings]
    registry: Registry

    def config(self, row: RowSettings) -> RunConfig:
        """The shared settings, overridden by those of the row."""
        with_value = [f"--{key}={value}: --{key} takes no value" for key, value in row.items() if key in SWITCHES]
        if with_value:
            raise ConfigError(with_value)
        flags = [Flag(key, value) for key, value in row.items()]
        return resolve(*self.settings, source_of_flags(flags), registry=self.registry)

    def needs(self, row: RowSettings) -> Sequence[Need]:
        """The needs of the row's objective."""
        selection = self.config(row).objective
        objective = self.registry.target(self.registry.get("objective", selection.component))
        needs: Sequence[Need] = objective(**selection.config).needs
        return needs

    def candidate(self, draft: Draft) -> Candidate:
        """Build the parts of a row once, and count the items that it trains on."""
        config = self.config(draft.settings)
        parts = assemble(config, self.registry, make_execution(config, self.registry))
        items = len(parts.dataset.records("train"))
        needs, pairs = parts.objective.needs, config.pairs
        if asks_for_pairs(needs):
            items = len(read_pairs(Path(pairs.path))) if pairs.path else min(items, pairs.limit or items)
        return Candidate(draft.label, draft.settings, config, needs, items)


def _make_control(settings: Sequence[Settings], registry: Registry) -> Callable[[RowSettings], Candidate]:
    """Make the function that builds SFT rows; settings of the rows' own objective are left out."""
    rows = _Rows([read_source(each).drop_kind("objective") for each in settings], registry)
    cache: dict[tuple[tuple[str, str], ...], Candidate] = {}

    def control(row: RowSettings) -> Candidate:
        key = tuple(sorted(row.items()))
        if key not in cache:
            cache[key] = rows.candidate(Draft({"objective": "sft", **row}, "sft"))
        return cache[key]

    return control


def _make_slugs(labels: Sequence[str]) -> list[str]:
    """Make folder names from labels; equal names are numbered."""
    slugs: list[str] = []
    for label in labels:
        slug = re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-.") or "row"
        slugs.append(slug if slug not in slugs else f"{slug}-{len(slugs) + 1}")
    return slugs
