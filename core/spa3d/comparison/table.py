"""compare.json, compare.md and compare.html: three renderings of one table, made from the folders of the cells."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from spa3d.comparison.cells import Outcome, Row, Status
from spa3d.comparison.document import CellState, Family, Score, Table, TableRow
from spa3d.comparison.markdown import markdown_page
from spa3d.comparison.page import html_page
from spa3d.comparison.results import TRAINING, Measured, read_cell
from spa3d.comparison.scores import BySeed, Part, holm, score, spread
from spa3d.comparison.verdict import verdict
from spa3d.errors import DataError
from spa3d.runtime.atomic_files import write_whole


class Printed(Protocol):
    """The figures that a paper prints for the rows of a table."""

    @property
    def paper(self) -> Mapping[str, Mapping[str, float]]:
        """Label to column to figure."""

    @property
    def caption(self) -> str:
        """Which table of which paper they are from."""


def write_table(
    output: Path,
    outcomes: Sequence[Outcome],
    *,
    title: str,
    budget: str,
    command: str,
    preset: Printed | None,
    bootstrap: int,
) -> Table:
    """Write compare.json, compare.md and compare.html into `output`; each replaces its predecessor whole or not at all.

    The same outcomes and folders give the same bytes.

    Args:
        output: the comparison's folder.
        outcomes: what came of every cell, in the order of the grid.
        title: what is compared.
        budget: what the rows have in common: steps, samples or compute.
        command: how to make the table again.
        preset: the paper's own figures, where the grid has the form of one of its tables.
        bootstrap: resamples behind each interval.

    """
    table = build_table(
        output, outcomes, title=title, budget=budget, command=command, preset=preset, bootstrap=bootstrap
    )
    write_whole(output / "compare.json", table.json_text())
    write_whole(output / "compare.md", markdown_page(table))
    write_whole(output / "compare.html", html_page(table))
    return table


def build_table(
    output: Path,
    outcomes: Sequence[Outcome],
    *,
    title: str,
    budget: str,
    command: str,
    preset: Printed | None,
    bootstrap: int,
) -> Table:
    """What `write_table` writes. A finished cell whose folder cannot be read counts as failed, with the reason."""
    states, measured = _read(outcomes)
    rows = list({outcome.cell.row.label: outcome.cell.row for outcome in outcomes}.values())
    parts = _parts(measured)
    pairs = [(row, part) for row in rows for part in parts if _compared(row, part, measured)]
    drawn = [_row(output, row, states, measured, parts, bootstrap=bootstrap, family=len(pairs)) for row in rows]
    family = Family(
        rows=len({row.label for row, _ in pairs}), scores=len({part for _, part in pairs}), comparisons=len(pairs)
    )
    plain = Table(
        title=title,
        verdict=(),
        budget=budget,
        command=command,
        counts={status: sum(state.status == status for state in states) for status in _STATUSES},
        bootstrap=bootstrap,
        family=family,
        rows=tuple(_corrected(drawn)),
        caption=preset.caption if preset else "",
        paper={label: dict(figures) for label, figures in preset.paper.items()} if preset else {},
    )
    return plain.model_copy(update={"verdict": verdict(plain)})


_STATUSES: tuple[Status, ...] = ("done", "failed", "to do")


def _read(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], dict[str, dict[int, Measured]]]:
    """The outcomes, those set right whose folder cannot be read; and what was measured, by row and seed."""
    states: list[Outcome] = []
    measured: dict[str, dict[int, Measured]] = {outcome.cell.row.label: {} for outcome in outcomes}
    for outcome in outcomes:
        state, cell = outcome, outcome.cell
        if outcome.status == "done":
            try:
                measured[cell.row.label][cell.seed] = read_cell(cell, outcome.seconds)
            except DataError as fault:
                state = Outcome(cell, "failed", str(fault), outcome.seconds)
        states.append(state)
    return states, measured


def _parts(measured: Mapping[str, BySeed]) -> list[Part]:
    """Every (benchmark, set) that some cell was asked, in reported order."""
    return list(dict.fromkeys(part for cells in measured.values() for cell in cells.values() for part in cell.sets))


def _compared(row: Row, part: Part, measured: Mapping[str, BySeed]) -> bool:
    """Whether a seed of `row` and the same seed of its control are done and were asked `part`."""
    control = measured.get(row.control, {}) if row.control != row.label else {}
    return any(
        part in cell.sets and seed in control and part in control[seed].sets
        for seed, cell in measured[row.label].items()
    )


def _row(
    output: Path,
    row: Row,
    states: Sequence[Outcome],
    measured: Mapping[str, BySeed],
    parts: Sequence[Part],
    *,
    bootstrap: int,
    family: int,
) -> TableRow:
    cells = measured[row.label]
    scores: dict[str, dict[str, Score]] = {}
    for part in parts:
        control = measured.get(row.control, {}) if _compared(row, part, measured) else {}
        found = score(cells, part, control, bootstrap=bootstrap, family=family)
        if found:
            scores.setdefault(part[0], {})[part[1]] = found
    training = {name: spread([cell.training.get(name) for cell in cells.values()]) for name in TRAINING}
    return TableRow(
        label=row.label,
        role=row.role,
        control=row.control,
        settings=dict(row.settings),
        seeds_done=tuple(cells),
        scores=scores,
        training={name: numbers for name, numbers in training.items() if numbers},
        cells=tuple(_state(output, state, cells) for state in states if state.cell.row.label == row.label),
    )


def _state(output: Path, state: Outcome, cells: BySeed) -> CellState:
    cell, found = state.cell, cells.get(state.cell.seed)
    return CellState(
        seed=cell.seed,
        index=cell.index,
        folder=Path(os.path.relpath(cell.folder, output)).as_posix(),
        status=state.status,
        fault=state.fault,
        warnings=tuple(found.warnings) if found else (),
    )


def _corrected(rows: Sequence[TableRow]) -> list[TableRow]:
    """The rows with Holm's p over all their comparisons with a control."""
    places = [
        (number, name, part, held.against_control)
        for number, row in enumerate(rows)
        for name, sets in row.scores.items()
        for part, held in sets.items()
        if held.against_control
    ]
    scores = [{name: dict(sets) for name, sets in row.scores.items()} for row in rows]
    adjusted = holm([tested.p for *_, tested in places])
    for (number, name, part, tested), p in zip(places, adjusted, strict=True):
        fresh = tested.model_copy(update={"p_holm": p})
        scores[number][name][part] = scores[number][name][part].model_copy(update={"against_control": fresh})
    return [row.model_copy(update={"scores": sets}) for row, sets in zip(rows, scores, strict=True)]
