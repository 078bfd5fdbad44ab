"""compare.md: the verdict, a table per benchmark, the details, every seed, the paper's own figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from spa3d.comparison.document import Estimate, Score, Table, TableRow, Tested
from spa3d.comparison.wording import (
    DETAILS,
    LEGEND,
    MARKS,
    PAPER,
    TRAINING_HEADS,
    control_name,
    ends_told,
    marks_told,
    part_name,
    training_told,
)
from spa3d.rendering.numbers import NOTHING, markdown, percent, points, points_span

ALONE = "(△)"
"""Beside an interval that excludes 0 only when taken alone."""


def markdown_page(table: Table) -> str:
    """The text of compare.md. Its first line is the verdict."""
    first, *more = table.verdict
    blocks = [f"**{markdown(first)}**", *map(markdown, more), f"# {markdown(table.title)}"]
    for name in dict.fromkeys(name for name, _ in table.parts()):
        blocks += [f"## {markdown(name)}", _scores(table, name)]
    if table.parts():
        blocks += [f"{LEGEND} {marks_told(table, ALONE)}", "## Details", _details(table), DETAILS]
    blocks += ["## Every run", _runs(table), *_faults(table)]
    if table.paper:
        blocks += [f"## {PAPER[0].upper()}{PAPER[1:]}", markdown(table.caption), _paper(table)]
    command = "".join(sign if sign.isprintable() else "?" for sign in table.command)
    blocks += ["## How it was made", "Every figure is in [`compare.json`](compare.json).", f"    {command}"]
    return "\n\n".join(block for block in blocks if block) + "\n"


def paper_columns(table: Table) -> list[str]:
    """The columns that the paper prints, in its order."""
    return list(dict.fromkeys(column for figures in table.paper.values() for column in figures))


def _scores(table: Table, name: str) -> str:
    """One benchmark, at most nine columns: its own score in full, its other sets by their difference."""
    others = [part for part in table.parts() if part[0] == name and part[1] != "test"]
    rival = f"against {control_name(table.budget)}"
    heads = ["row", "seeds", "score", "against the base", rival, "over seeds", "blind gap"]
    heads += [f"{part[1]}, {'against SFT' if table.family.comparisons else 'against the base'}" for part in others]
    lines = []
    for row in table.rows:
        main = table.score(row, (name, "test"))
        rest = [_other(table.score(row, part), table) for part in others]
        lines.append([_label(row), f"{len(row.seeds_done)} of {len(row.cells)}", *_main(main), *rest])
    return _table(heads, lines)


def _main(score: Score | None) -> list[str]:
    if score is None:
        return [NOTHING] * 5
    held = score.against_control
    gap = NOTHING
    if score.gap:
        moved = f" ({points(score.gap_change.mean)})" if score.gap_change else ""
        gap = f"{points(score.gap.mean)}{moved}"
    return [percent(score.after.mean), _estimate(score.change), _tested(held), ends_told(held or score.change), gap]


def _other(score: Score | None, table: Table) -> str:
    """A set beside the reported one: its score, then the difference."""
    if score is None:
        return NOTHING
    told = _tested(score.against_control) if table.family.comparisons else _estimate(score.change)
    return percent(score.after.mean) + (f", {told}" if told != NOTHING else "")


def _estimate(found: Estimate | None) -> str:
    return f"{points(found.mean)} ({points_span(found.ci95)})" if found else NOTHING


def _tested(found: Tested | None) -> str:
    if found is None:
        return NOTHING
    mark = MARKS[found.side] or (ALONE if found.lucky else "")
    return f"{_estimate(found)} {mark}".rstrip()


def _details(table: Table) -> str:
    names = [name for name in TRAINING_HEADS if any(name in row.training for row in table.rows)]
    blind = {part: part_name(part) for part in table.parts() if part[1] == "test"}
    heads = ["row", *(TRAINING_HEADS[name] for name in names), *(f"blind {told}, chance" for told in blind.values())]
    lines = []
    for row in table.rows:
        found = [table.score(row, part) for part in blind]
        shares = [f"{percent(one.blind.mean)}, {percent(one.chance)}" if one else NOTHING for one in found]
        lines.append([_label(row), *(training_told(name, row.training.get(name)) for name in names), *shares])
    return _table(heads, lines)


def _runs(table: Table) -> str:
    """One line per cell: every seed's own figures."""
    parts = table.parts()
    lines = []
    for row in table.rows:
        for cell in row.cells:
            place = row.seeds_done.index(cell.seed) if cell.seed in row.seeds_done else None
            shares = [_of_seed(table.score(row, part), place) for part in parts]
            lines.append([_label(row), str(cell.seed), cell.status, *shares, markdown(cell.folder)])
    return _table(["row", "seed", "state", *(part_name(part) for part in parts), "folder"], lines)


def _of_seed(score: Score | None, place: int | None) -> str:
    """One seed's score and its difference against the control, or against the base where there is none."""
    if score is None or place is None or (share := score.after.seeds[place]) is None:
        return NOTHING
    moved = (score.against_control or score.change).seeds[place]
    return percent(share) + (f" ({points(moved)})" if moved is not None else "")


def _faults(table: Table) -> Iterator[str]:
    told = [f"- {_label(row)}: {markdown(fault)}" for row in table.rows for fault in row.faults]
    if told:
        yield "## What failed"
        yield "\n".join(told)
        yield "Where it happened stands in `error.txt` in the run's folder."
    warned = [
        f"- {_label(row)}, seed {cell.seed}: {markdown(text)}"
        for row in table.rows
        for cell in row.cells
        for text in cell.warnings
    ]
    if warned:
        yield "## What the watchdog said"
        yield "\n".join(warned)


def _paper(table: Table) -> str:
    columns = paper_columns(table)
    lines = [
        [markdown(label), *(f"{figures[column]:g}" if column in figures else NOTHING for column in columns)]
        for label, figures in table.paper.items()
    ]
    return _table(["row", *columns], lines)


def _label(row: TableRow) -> str:
    return markdown(row.label) + (" *(control)*" if row.role == "control" else "")


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = ["| " + " | ".join(markdown(head) for head in heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join([*rows, *("| " + " | ".join(line) + " |" for line in lines)])
