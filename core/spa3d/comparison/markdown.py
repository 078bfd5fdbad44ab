"""compare.md: verdict, a table per benchmark, details, every seed, the paper's own figures."""

from __future__ import annotations

from collections.abc import Iterator

from spa3d.comparison.document import Estimate, Score, Table, TableRow, TestedEstimate
from spa3d.comparison.wording import (
    DETAILS,
    MARKS,
    PAPER,
    TRAINING_HEADS,
    describe_legend,
    format_control,
    format_questions,
    format_reach,
    format_seed_range,
    format_subset,
    format_training_value,
)
from spa3d.rendering.markdown import escape_markdown, render_bullets, render_markdown_table
from spa3d.rendering.numbers import NOTHING, format_percent, format_points, format_points_interval
from spa3d.runtime.plain_text import escape_controls

ALONE = "(△)"
"""Mark of an interval that excludes 0, while Holm's correction or a seed disagrees."""


def render_markdown(table: Table) -> str:
    """Render compare.md, whose first line is the verdict."""
    first, *more = table.verdict
    blocks = [f"**{escape_markdown(first)}**", *map(escape_markdown, more), f"# {escape_markdown(table.title)}"]
    for name in dict.fromkeys(name for name, _ in table.subsets()):
        blocks += [f"## {escape_markdown(name)}", _describe_questions(table, name), _render_scores(table, name)]
    if table.subsets():
        blocks += [escape_markdown(describe_legend(table, ALONE)), "## Details", _render_details(table), DETAILS]
    blocks += ["## Every run", _render_runs(table), *_render_errors(table)]
    if table.paper:
        blocks += [f"## {PAPER[0].upper()}{PAPER[1:]}", escape_markdown(table.caption), _render_paper(table)]
    command = escape_controls(table.command.replace("\n", " "))
    blocks += ["## How it was made", "Every figure is in [`compare.json`](compare.json).", f"    {command}"]
    return "\n\n".join(block for block in blocks if block) + "\n"


def list_paper_columns(table: Table) -> list[str]:
    """List the columns of the paper's own figures, in its order."""
    return list(dict.fromkeys(column for figures in table.paper.values() for column in figures))


def _describe_questions(table: Table, name: str) -> str:
    """Describe the number of questions of each set of a benchmark, and of the seeds."""
    subsets = [subset for subset in table.subsets() if subset[0] == name]
    sizes = [("" if kind == "test" else f"{kind}: ") + format_questions(table, (name, kind)) for name, kind in subsets]
    return f"{'; '.join(sizes)}."


def _render_scores(table: Table, name: str) -> str:
    """Render one benchmark: all figures of its test set, score and difference of its other sets."""
    others = [subset for subset in table.subsets() if subset[0] == name and subset[1] != "test"]
    rival = f"against {format_control(table.budget)}"
    heads = ["row", "seeds", "score", "against the base", rival, "over seeds", "blind gap"]
    heads += [f"{subset[1]}, {'against SFT' if table.family.comparisons else 'against the base'}" for subset in others]
    lines = []
    for row in table.rows:
        main = table.score(row, (name, "test"))
        rest = [_format_other(table.score(row, subset), table) for subset in others]
        lines.append([_format_label(row), f"{len(row.seeds_done)} of {len(row.cells)}", *_format_main(main), *rest])
    return render_markdown_table(heads, lines)


def _format_main(score: Score | None) -> list[str]:
    if score is None:
        return [NOTHING] * 5
    against = score.against_control
    gap = NOTHING
    if score.gap:
        moved = f" ({format_points(score.gap_change.mean)})" if score.gap_change else ""
        gap = f"{format_points(score.gap.mean)}{moved}"
    return [
        format_percent(score.after.mean),
        _format_estimate(score.change),
        _format_test(against),
        format_seed_range(against or score.change),
        gap,
    ]


def _format_other(score: Score | None, table: Table) -> str:
    """Format the score and the difference of a counterfactual or flip set."""
    if score is None:
        return NOTHING
    difference = _format_test(score.against_control) if table.family.comparisons else _format_estimate(score.change)
    return format_percent(score.after.mean) + (f", {difference}" if difference != NOTHING else "")


def _format_estimate(estimate: Estimate | None) -> str:
    return _join_reach(_format_interval(estimate), estimate) if estimate else NOTHING


def _format_interval(estimate: Estimate) -> str:
    return f"{format_points(estimate.mean)} ({format_points_interval(estimate.ci95)})"


def _join_reach(text: str, estimate: Estimate) -> str:
    """Add what could have been seen, if nothing was."""
    return ", ".join(filter(None, (text, format_reach(estimate))))


def _format_test(estimate: TestedEstimate | None) -> str:
    if estimate is None:
        return NOTHING
    mark = MARKS[estimate.side] or (ALONE if estimate.is_unconfirmed else "")
    return _join_reach(f"{_format_interval(estimate)} {mark}".rstrip(), estimate)


def _render_details(table: Table) -> str:
    names = [name for name in TRAINING_HEADS if any(name in row.training for row in table.rows)]
    blind = {subset: format_subset(subset) for subset in table.subsets() if subset[1] == "test"}
    heads = [
        "row",
        *(TRAINING_HEADS[name] for name in names),
        *(f"blind {name}, text floor, chance" for name in blind.values()),
    ]
    lines = []
    for row in table.rows:
        scores = [table.score(row, subset) for subset in blind]
        shares = [
            ", ".join(map(format_percent, (score.blind.mean, score.text_floor.mean, score.chance)))
            if score
            else NOTHING
            for score in scores
        ]
        lines.append(
            [_format_label(row), *(format_training_value(name, row.training.get(name)) for name in names), *shares]
        )
    return render_markdown_table(heads, lines)


def _render_runs(table: Table) -> str:
    """Render one line per cell with the scores of its seed."""
    subsets = table.subsets()
    lines = []
    for row in table.rows:
        for cell in row.cells:
            index = row.seeds_done.index(cell.seed) if cell.seed in row.seeds_done else None
            shares = [_format_seed(table.score(row, subset), index) for subset in subsets]
            lines.append([_format_label(row), str(cell.seed), cell.status, *shares, escape_markdown(cell.folder)])
    return render_markdown_table(
        ["row", "seed", "state", *(format_subset(subset) for subset in subsets), "folder"], lines
    )


def _format_seed(score: Score | None, index: int | None) -> str:
    """Format one seed's score and its difference against the control, or else the base."""
    if score is None or index is None or (share := score.after.seeds[index]) is None:
        return NOTHING
    moved = (score.against_control or score.change).seeds[index]
    return format_percent(share) + (f" ({format_points(moved)})" if moved is not None else "")


def _render_errors(table: Table) -> Iterator[str]:
    failures = [f"{_format_label(row)}: {escape_markdown(error)}" for row in table.rows for error in row.errors]
    if failures:
        yield "## Errors"
        yield render_bullets(failures)
        yield "The traceback is in `error.txt` in the run's folder."
    warned = [
        f"{_format_label(row)}, seed {cell.seed}: {escape_markdown(text)}"
        for row in table.rows
        for cell in row.cells
        for text in cell.warnings
    ]
    if warned:
        yield "## Warnings of the watchdog"
        yield render_bullets(warned)


def _render_paper(table: Table) -> str:
    columns = list_paper_columns(table)
    lines = [
        [escape_markdown(label), *(f"{figures[column]:g}" if column in figures else NOTHING for column in columns)]
        for label, figures in table.paper.items()
    ]
    return render_markdown_table(["row", *columns], lines)


def _format_label(row: TableRow) -> str:
    return escape_markdown(row.label) + (" *(control)*" if row.role == "control" else "")
