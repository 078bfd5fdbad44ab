"""A comparison on the terminal: its cells beforehand, its table afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from spa3d.cli.console import output, plain
from spa3d.comparison.cells import Task, outcome
from spa3d.comparison.document import Score
from spa3d.comparison.document import Table as Document
from spa3d.rendering.numbers import NOTHING, percent, points, points_span

AGAINST = {
    "steps": "differences in points against SFT of as many steps, paired 95 % intervals",
    "samples": "differences in points against SFT of as many samples, paired 95 % intervals",
    "compute": "differences in points against SFT of equal compute, paired 95 % intervals",
}


def show_cells(tasks: Sequence[Task], mine: Sequence[Task]) -> None:
    """List every cell; what is there is told of those in `mine`."""
    chosen = {task.cell.index for task in mine}
    table = Table("cell", "row", "held against", "seed", "steps", "lr", "state", box=None, pad_edge=False)
    for task in tasks:
        cell, train = task.cell, task.config.train
        state = outcome(task).status if cell.index in chosen else "another process"
        row = cell.row
        told = [row.label, row.control or "(itself SFT)", str(cell.seed), str(train.steps), f"{train.learning_rate:g}"]
        table.add_row(str(cell.index + 1), *map(plain, told), state)
    output().print(table)


def show_table(document: Document, folder: Path) -> None:
    """The verdict, each row's scores beside its difference against SFT of equal budget, and where the rest is."""
    parts = [part for part in document.parts() if part[1] == "test"]
    table = Table("row", "done", box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for benchmark, _ in parts:
        table.add_column(plain(benchmark), justify="right")
        table.add_column("against SFT")
    for row in document.rows:
        scores = [document.score(row, part) for part in parts]
        done = f"{len(row.seeds_done)} of {len(row.cells)}"
        table.add_row(plain(row.label), done, *(word for score in scores for word in _told(score)))
    console = output()
    for sentence in document.verdict:
        console.print(plain(sentence, "bold"), soft_wrap=True)
    console.print(table)
    for row in document.rows:
        for fault in row.faults:
            console.print(plain(f"{row.label}, {fault}", "red"), soft_wrap=True)
    console.print(f"\nshares in %, means over seeds; {AGAINST[document.budget]}", style="dim")
    console.print(plain("  ".join(str(folder / f"compare.{kind}") for kind in ("html", "md", "json"))), soft_wrap=True)


def _told(score: Score | None) -> tuple[str, str]:
    if score is None:
        return NOTHING, NOTHING
    against = score.against_control
    return percent(score.after.mean), f"{points(against.mean)} ({points_span(against.ci95)})" if against else NOTHING
