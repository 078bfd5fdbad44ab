"""compare.md: verdict, a table per benchmark, details, every seed, the paper's own figures."""

from __future__ import annotations

from collections.abc import Iterator

from spa3d.comparison.document import Estimate, Score, Table, TableRow, Tested
from spa3d.comparison.wording import (
    DETAILS,
    LEGEND,
    MARKS,
    PAPER,
    TRAINING_HEADS,
    describe_marks,
    format_control,
    format_seed_range,
    format_subset,
    format_training_value,
)
from spa3d.rendering.markdown import escape_markdown, render_bullets, render_markdown_table
from spa3d.rendering.numbers import NOTHING, format_percent, format_points, format_points_interval

ALONE = "(△)"
"""Beside an interval that excludes 0 only when taken alone."""


def render_markdown(table: Table) -> str:
    """Render compare.md, whose first line is the verdict."""
    first, *more = table.verdict
    blocks = [f"**{escape_markdown(first)}**", *map(escape_markdown, more), f"# {escape_markdown(table.title)}"]
    for name in dict.fromkeys(name for name, _ in table.subsets()):
        blocks += [f"## {escape_markdown(name)}", _scores(table, name)]
    if table.subsets():
        blocks += [f"{LEGEND} {describe_marks(table, ALONE)}", "## Details", _details(table), DETAILS]
    blocks += ["## Every run", _runs(table), *_faults(table)]
    if table.paper:
        blocks += [f"## {PAPER[0].upper()}{PAPER[1:]}", escape_markdown(table.caption), _paper(table)]
    command = "".join(sign if sign.isprintable() else "?" for sign in table.command)
    blocks += ["## How it was made", "Every figure is in [`compare.json`](compare.json).", f"    {command}"]
    return "\n\n".join(block for block in blocks if block) + "\n"


def list_paper_columns(table: Table) -> list[str]:
    """List the columns of the paper's own figures, in its order."""
    return list(dict.fromkeys(column for figures in table.paper.values() for column in figures))


def _scores(table: Table, name: str) -> str:
    """Render one benchmark: its own score in full, its other sets by their difference."""
    others = [subset for subset in table.subsets() if subset[0] == name and subset[1] != "test"]
    rival = f"against {format_control(table.budget)}"
    heads = ["row", "seeds", "score", "against the base", rival, "over seeds", "blind gap"]
    heads += [f"{subset[1]}, {'against SFT' if table.family.comparisons else 'against the base'}" for subset in others]
    lines = []
    for row in table.rows:
        main = table.score(row, (name, "test"))
        rest = [_other(table.score(row, subset), table) for subset in others]
        lines.append([_label(row), f"{len(row.seeds_done)} of {len(row.cells)}", *_main(main), *rest])
    return render_markdown_table(heads, lines)


def _main(score: Score | None) -> list[str]:
    if score is None:
        return [NOTHING] * 5
    held = score.against_control
    gap = NOTHING
    if score.gap:
        moved = f" ({format_points(score.gap_change.mean)})" if score.gap_change else ""
        gap = f"{format_points(score.gap.mean)}{moved}"
    return [
        format_percent(score.after.mean),
        _estimate(score.change),
        _tested(held),
        format_seed_range(held or score.change),
        gap,
    ]


def _other(score: Score | None, table: Table) -> str:
    """Format a set beside the reported one: its score, then the difference."""
    if score is None:
        return NOTHING
    difference = _tested(score.against_control) if table.family.comparisons else _estimate(score.change)
    return format_percent(score.after.mean) + (f", {difference}" if difference != NOTHING else "")


def _estimate(found: Estimate | None) -> str:
    return f"{format_points(found.mean)} ({format_points_interval(found.ci95)})" if found else NOTHING


def _tested(found: Tested | None) -> str:
    if found is None:
        return NOTHING
    mark = MARKS[found.side] or (ALONE if found.lucky else "")
    return f"{_estimate(found)} {mark}".rstrip()


def _details(table: Table) -> str:
    names = [name for name in TRAINING_HEADS if any(name in row.training for row in table.rows)]
    blind = {subset: format_subset(subset) for subset in table.subsets() if subset[1] == "test"}
    heads = ["row", *(TRAINING_HEADS[name] for name in names), *(f"blind {name}, chance" for name in blind.values())]
    lines = []
    for row in table.rows:
        found = [table.score(row, subset) for subset in blind]
        shares = [
            f"{format_percent(one.blind.mean)}, {format_percent(one.chance)}" if one else NOTHING for one in found
        ]
        lines.append([_label(row), *(format_training_value(name, row.training.get(name)) for name in names), *shares])
    return render_markdown_table(heads, lines)


def _runs(table: Table) -> str:
    """Render one line per cell: every seed's own figures."""
    subsets = table.subsets()
    lines = []
    for row in table.rows:
        for cell in row.cells:
            place = row.seeds_done.index(cell.seed) if cell.seed in row.seeds_done else None
            shares = [_of_seed(table.score(row, subset), place) for subset in subsets]
            lines.append([_label(row), str(cell.seed), cell.status, *shares, escape_markdown(cell.folder)])
    return render_markdown_table(
        ["row", "seed", "state", *(format_subset(subset) for subset in subsets), "folder"], lines
    )


def _of_seed(score: Score | None, place: int | None) -> str:
    """Format one seed's score and its difference against the control, or else the base."""
    if score is None or place is None or (share := score.after.seeds[place]) is None:
        return NOTHING
    moved = (score.against_control or score.change).seeds[place]
    return format_percent(share) + (f" ({format_points(moved)})" if moved is not None else "")


def _faults(table: Table) -> Iterator[str]:
    failures = [f"{_label(row)}: {escape_markdown(error)}" for row in table.rows for error in row.errors]
    if failures:
        yield "## What failed"
        yield render_bullets(failures)
        yield "Where it happened stands in `error.txt` in the run's folder."
    warned = [
        f"{_label(row)}, seed {cell.seed}: {escape_markdown(text)}"
        for row in table.rows
        for cell in row.cells
        for text in cell.warnings
    ]
    if warned:
        yield "## What the watchdog said"
        yield render_bullets(warned)


def _paper(table: Table) -> str:
    columns = list_paper_columns(table)
    lines = [
        [escape_markdown(label), *(f"{figures[column]:g}" if column in figures else NOTHING for column in columns)]
        for label, figures in table.paper.items()
    ]
    return render_markdown_table(["row", *columns], lines)


def _label(row: TableRow) -> str:
    return escape_markdown(row.label) + (" *(control)*" if row.role == "control" else "")
