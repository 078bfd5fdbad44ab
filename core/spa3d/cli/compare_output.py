"""Terminal output of a comparison: the list of cells before, the table after the runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from rich.table import Table

from spa3d.cli.console import escape_text, output, print_sentence
from spa3d.comparison.cells import Outcome, Task, read_outcome
from spa3d.comparison.document import Score
from spa3d.comparison.document import Table as ComparisonTable
from spa3d.comparison.wording import describe_conditions, format_questions, format_reach
from spa3d.rendering.numbers import (
    NOTHING,
    format_count,
    format_duration,
    format_percent,
    format_points,
    format_points_interval,
)

AGAINST = {
    "steps": "differences in points against SFT of as many steps, paired 95 % intervals",
    "samples": "differences in points against SFT of as many samples, paired 95 % intervals",
    "compute": "differences in points against SFT of equal compute, paired 95 % intervals",
}


def show_cells(tasks: Sequence[Task], share: Sequence[Task]) -> None:
    """List every cell with the state of those in `share`, and its time if it was measured."""
    chosen = {task.cell.index for task in share}
    outcomes = [read_outcome(task) for task in tasks]
    times = estimate_times(outcomes)
    table = Table("cell", "row", "control", "seed", "steps", "lr", "state", box=None, pad_edge=False)
    if times:
        table.add_column("time", justify="right")
    for task, outcome in zip(tasks, outcomes, strict=True):
        cell, train = task.cell, task.config.train
        state = outcome.status if cell.index in chosen else "another process"
        row = cell.row
        values = [row.label, row.control or "(is SFT)", str(cell.seed), str(train.steps), f"{train.learning_rate:g}"]
        cells = [*map(escape_text, values), escape_text(state)]
        if times:
            sign = "" if outcome.status == "done" else "~ "
            cells.append(escape_text(sign + format_duration(times[row.label]) if row.label in times else NOTHING))
        table.add_row(str(cell.index + 1), *cells)
    output().print(table)
    left = [each for each in outcomes if each.status != "done" and each.cell.index in chosen]
    known = [times[each.cell.row.label] for each in left if each.cell.row.label in times]
    if known:
        total = f"~ {format_duration(sum(known))} for {len(known)} of {format_count(len(left), 'cell')} to do"
        output().print(f"\n{total}, as long as finished cells of the same row took", style="dim")


def estimate_times(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Estimate the seconds of a cell, by row: the mean of the finished cells of the row."""
    measured: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.duration is not None:
            measured.setdefault(outcome.cell.row.label, []).append(outcome.duration)
    return {label: fmean(seconds) for label, seconds in measured.items()}


def show_table(comparison: ComparisonTable, folder: Path) -> None:
    """Print the verdict, each row's scores and differences, and the paths of the files."""
    subsets = [subset for subset in comparison.subsets() if subset[1] == "test"]
    table = Table("row", "done", box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for benchmark, name in subsets:
        size = format_questions(comparison, (benchmark, name)).partition(",")[0]
        table.add_column(escape_text(f"{benchmark} ({size})"), justify="right")
        table.add_column("against SFT")
    for row in comparison.rows:
        scores = [comparison.score(row, subset) for subset in subsets]
        done = f"{len(row.seeds_done)} of {len(row.cells)}"
        table.add_row(escape_text(row.label), done, *(word for score in scores for word in _format_score(score)))
    console = output()
    for sentence in comparison.verdict:
        print_sentence(console, escape_text(sentence, "bold"))
    console.print(table)
    for row in comparison.rows:
        for error in row.errors:
            print_sentence(console, escape_text(f"{row.label}, {error}", "red"))
    legend = f"\nshares in %, means over seeds; {AGAINST[comparison.budget]}; could see: smallest true difference that "
    legend += f"one comparison finds in 80 % of cases (two-sided, 5 %). {describe_conditions(comparison)}"
    print_sentence(console, escape_text(legend, "dim"))
    console.print(
        escape_text("  ".join(str(folder / f"compare.{kind}") for kind in ("html", "md", "json"))), soft_wrap=True
    )


def _format_score(score: Score | None) -> tuple[str, str]:
    if score is None:
        return NOTHING, NOTHING
    against = score.against_control
    if against is None:
        return format_percent(score.after.mean), NOTHING
    difference = f"{format_points(against.mean)} ({format_points_interval(against.ci95)})"
    return format_percent(score.after.mean), ", ".join(filter(None, (difference, format_reach(against))))
