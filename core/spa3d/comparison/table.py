"""Table of a comparison, read from its cells, written as JSON, Markdown and HTML."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from spa3d.comparison.cells import Outcome, Row, Status
from spa3d.comparison.document import BenchmarkSubset, CellState, Family, Score, Table, TableRow
from spa3d.comparison.markdown import render_markdown
from spa3d.comparison.page import render_page
from spa3d.comparison.results import TRAINING, CellResult, read_cell
from spa3d.comparison.scores import BySeed, compute_spread, round_figure, score_row
from spa3d.comparison.verdict import judge_table
from spa3d.errors import DataError
from spa3d.metrics.intervals import correct_holm
from spa3d.runtime.atomic_files import write_whole


class PaperFigures(Protocol):
    """The figures of a paper for the rows of a table."""

    @property
    def paper(self) -> Mapping[str, Mapping[str, float]]:
        """Figures by row label and column."""

    @property
    def caption(self) -> str:
        """Names the table and the paper of the figures."""


@dataclass(frozen=True)
class TableSettings:
    """Head of a table, and the number of resamples.

    Attributes:
        title: title of the table.
        budget: the budget that all rows share: steps, samples or compute.
        command: the command that makes the table.
        bootstrap: resamples behind each interval.
        preset: the paper's own figures, if the grid follows one of its tables.

    """

    title: str
    budget: str
    command: str
    bootstrap: int
    preset: PaperFigures | None = None


@dataclass(frozen=True)
class Results:
    """The outcomes of all cells, and the results by row label and seed.

    A finished cell whose folder cannot be read counts as failed, with the reason.
    """

    outcomes: Sequence[Outcome]
    measured: Mapping[str, BySeed]

    @property
    def rows(self) -> list[Row]:
        """The rows in the order of the grid."""
        return list({outcome.cell.row.label: outcome.cell.row for outcome in self.outcomes}.values())

    @property
    def subsets(self) -> list[BenchmarkSubset]:
        """Every set of questions of any cell, in reported order."""
        cells = (cell for cells in self.measured.values() for cell in cells.values())
        return list(dict.fromkeys(subset for cell in cells for subset in cell.sets))

    @property
    def decoding(self) -> dict[str, Any]:
        """How answers were picked or written; values that differ are joined by "or"."""
        cells = [cell.decoding for by_seed in self.measured.values() for cell in by_seed.values()]
        names = dict.fromkeys(name for decoding in cells for name in decoding)
        values = {name: dict.fromkeys(str(some[name]) for some in cells if name in some) for name in names}
        return {name: " or ".join(each) for name, each in values.items()}

    def control(self, row: Row, subset: BenchmarkSubset) -> BySeed:
        """The cells of the control; empty unless both have finished a seed with `subset`."""
        control = self.measured.get(row.control, {}) if row.control != row.label else {}
        both = any(
            subset in cell.sets and seed in control and subset in control[seed].sets
            for seed, cell in self.measured[row.label].items()
        )
        return control if both else {}


def write_table(output: Path, outcomes: Sequence[Outcome], settings: TableSettings) -> Table:
    """Write compare.json, compare.md and compare.html into `output`.

    Each file is replaced atomically. The same outcomes and folders give the same bytes.

    Args:
        output: the comparison's folder.
        outcomes: state of every cell, in the order of the grid.
        settings: the head of the table.

    """
    table = build_table(output, outcomes, settings)
    write_whole(output / "compare.json", table.json_text())
    write_whole(output / "compare.md", render_markdown(table))
    write_whole(output / "compare.html", render_page(table))
    return table


def build_table(output: Path, outcomes: Sequence[Outcome], settings: TableSettings) -> Table:
    """Build the table for `write_table`."""
    results = read_results(outcomes)
    pairs = [(row, subset) for row in results.rows for subset in results.subsets if results.control(row, subset)]
    family = Family(
        rows=len({row.label for row, _ in pairs}), scores=len({subset for _, subset in pairs}), comparisons=len(pairs)
    )
    rows = [
        _make_row(results, row, output, bootstrap=settings.bootstrap, family=family.comparisons) for row in results.rows
    ]
    preset = settings.preset
    table = Table(
        title=settings.title,
        verdict=(),
        budget=settings.budget,
        command=settings.command,
        counts={status: sum(outcome.status == status for outcome in results.outcomes) for status in _STATUSES},
        bootstrap=settings.bootstrap,
        family=family,
        rows=tuple(_correct_rows(rows)),
        caption=preset.caption if preset else "",
        paper={label: dict(figures) for label, figures in preset.paper.items()} if preset else {},
        decoding=results.decoding,
    )
    return table.model_copy(update={"verdict": judge_table(table)})


_STATUSES: tuple[Status, ...] = ("done", "failed", "to do")


def read_results(outcomes: Sequence[Outcome]) -> Results:
    """Read the folders of the finished cells."""
    states: list[Outcome] = []
    measured: dict[str, dict[int, CellResult]] = {outcome.cell.row.label: {} for outcome in outcomes}
    for outcome in outcomes:
        state, cell = outcome, outcome.cell
        if outcome.status == "done":
            try:
                measured[cell.row.label][cell.seed] = read_cell(cell, outcome.seconds)
            except DataError as error:
                state = Outcome(cell, "failed", str(error), outcome.seconds)
        states.append(state)
    return Results(states, measured)


def _make_row(results: Results, row: Row, output: Path, *, bootstrap: int, family: int) -> TableRow:
    cells = results.measured[row.label]
    scores: dict[str, dict[str, Score]] = {}
    for name, kind in results.subsets:
        control = results.control(row, (name, kind))
        score = score_row(cells, (name, kind), control, bootstrap=bootstrap, family=family)
        if score:
            scores.setdefault(name, {})[kind] = score
    training = {name: compute_spread([cell.training.get(name) for cell in cells.values()]) for name in TRAINING}
    return TableRow(
        label=row.label,
        role=row.role,
        control=row.control,
        settings=dict(row.settings),
        seeds_done=tuple(cells),
        scores=scores,
        training={name: numbers for name, numbers in training.items() if numbers},
        cells=tuple(
            _make_state(output, outcome, cells) for outcome in results.outcomes if outcome.cell.row.label == row.label
        ),
    )


def _make_state(output: Path, outcome: Outcome, cells: BySeed) -> CellState:
    cell, result = outcome.cell, cells.get(outcome.cell.seed)
    return CellState(
        seed=cell.seed,
        index=cell.index,
        folder=Path(os.path.relpath(cell.folder, output)).as_posix(),
        status=outcome.status,
        error=outcome.error,
        warnings=tuple(result.warnings) if result else (),
    )


def _correct_rows(rows: Sequence[TableRow]) -> list[TableRow]:
    """Set `p_holm`, corrected over all comparisons with a control."""
    comparisons = [
        (index, name, subset, score.against_control)
        for index, row in enumerate(rows)
        for name, sets in row.scores.items()
        for subset, score in sets.items()
        if score.against_control
    ]
    scores = [{name: dict(sets) for name, sets in row.scores.items()} for row in rows]
    adjusted = correct_holm([tested.p for *_, tested in comparisons])
    for (index, name, subset, tested), p in zip(comparisons, adjusted, strict=True):
        corrected = tested.model_copy(update={"p_holm": round_figure(p)})
        score = scores[index][name][subset]
        scores[index][name][subset] = score.model_copy(update={"against_control": corrected})
    return [row.model_copy(update={"scores": sets}) for row, sets in zip(rows, scores, strict=True)]
