"""compare.html: one file without network access or scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from urllib.parse import quote

from spa3d.comparison.document import BenchmarkSubset, CellState, Estimate, Score, Table, TableRow, TestedEstimate
from spa3d.comparison.figures import build_level_charts, draw_forest, draw_levels, draw_scale, make_shared_scale
from spa3d.comparison.markdown import list_paper_columns
from spa3d.comparison.wording import (
    DETAILS,
    PAPER,
    TRAINING_HEADS,
    describe_legend,
    format_control,
    format_questions,
    format_reach,
    format_seed_count,
    format_seed_range,
    format_subset,
    format_training_value,
)
from spa3d.rendering.html import (
    Headline,
    Page,
    isolate_text,
    render_cell,
    render_definitions,
    render_row,
    render_section,
    render_table,
    render_warnings,
)
from spa3d.rendering.numbers import (
    NOTHING,
    format_p_value,
    format_percent,
    format_points,
    format_points_interval,
)
from spa3d.rendering.svg import BarScale

ALONE = "△ alone"
"""Note of an interval that excludes 0, while Holm's correction or a seed disagrees."""


def render_page(table: Table) -> str:
    """Render compare.html."""
    sections = [
        _render_head(table),
        _render_errors(table),
        _render_matrix(table),
        *_render_benchmarks(table),
        _render_details(table),
        _render_runs(table),
    ]
    sections += [_render_paper(table), _render_origin(table)]
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return Page(f"{table.title} · spa3d compare", sections, style=style).render()


def _render_head(table: Table) -> str:
    first, *more = table.verdict
    claim, colon, evidence = first.partition(": ")
    meta = f"{isolate_text(table.title)} <span>/</span> budget: {isolate_text(table.budget)}"
    return Headline(
        _choose_tone(table), isolate_text(claim + colon.strip()), isolate_text(evidence), more, meta
    ).render()


def _choose_tone(table: Table) -> str:
    """Choose the class of the head: ``helped`` if a row beats its control on the first score."""
    subsets = table.subsets()
    if not subsets:
        return "open"
    scores = [table.score(row, subsets[0]) for row in table.rows]
    sides = {score.against_control.side for score in scores if score and score.against_control}
    return "helped" if 1 in sides else "even"


def _render_errors(table: Table) -> str:
    items = [
        f"<strong>{isolate_text(row.label)}:</strong> {isolate_text(error)}"
        for row in table.rows
        for error in row.errors
    ]
    for row in table.rows:
        warnings = [warning for cell in row.cells for warning in cell.warnings]
        if warnings:
            runs = sum(bool(cell.warnings) for cell in row.cells)
            text = f"watchdog in {runs} of {len(row.seeds_done)} runs: {warnings[0]}"
            items.append(f"<strong>{isolate_text(row.label)}:</strong> {isolate_text(text)}")
    return render_warnings(items)


def _render_matrix(table: Table) -> str:
    """Render the scores of all rows at a glance; marks say which differ from the control."""
    subsets = table.subsets()
    if not subsets:
        return ""
    heads = [("Row", "label"), *((isolate_text(format_subset(subset)), "") for subset in subsets)]
    rows = [
        _render_row(row, [_render_cell(format_subset(each), _format_score(table.score(row, each))) for each in subsets])
        for row in table.rows
    ]
    legend = f"Scores after post-training in %. ▲ and ▼: significantly above or below {format_control(table.budget)}."
    legend = f'<p class="legend">{escape(legend)}</p>'
    return render_section("All scores", legend + render_table(heads, rows, "Scores of all rows", "plain"))


def _format_score(score: Score | None) -> str:
    if score is None:
        return NOTHING
    side = score.against_control.side if score.against_control else 0
    return f"<b>{_format_mark(side)}{format_percent(score.after.mean)}</b>"


def _format_mark(side: int) -> str:
    return {1: '<i class="up">▲</i>', -1: '<i class="down">▼</i>', 0: ""}[side]


def _render_benchmarks(table: Table) -> Iterable[str]:
    rival = format_control(table.budget)
    legend = (
        f'<p class="legend"><span class="key score after"></span>against {escape(rival)} '
        '<span class="key blind before"></span>against the base <span class="key tick"></span>each seed. '
        f"{isolate_text(describe_legend(table, ALONE))}</p>"
    )
    for number, name in enumerate(dict.fromkeys(name for name, _ in table.subsets())):
        body = "" if number else legend
        for subset in (subset for subset in table.subsets() if subset[0] == name):
            body += _render_subset(table, subset)
        yield render_section(isolate_text(name), body, "scores")


def _render_subset(table: Table, subset: BenchmarkSubset) -> str:
    """Render one score; sets other than test are folded unless a difference is significant."""
    scores = [score for row in table.rows if (score := table.score(row, subset))]
    scale = make_shared_scale(scores)
    table_html, charts = _render_score_table(table, subset, scale), _render_levels(table, subset)
    content = f'<p class="meta">{format_questions(table, subset)}</p>{table_html}{charts}'
    if subset[1] == "test":
        return content
    moved = any(score.against_control and score.against_control.side for score in scores)
    summary = isolate_text(format_subset(subset))
    return f"<details{' open' if moved else ''}><summary>{summary}</summary>{content}</details>"


def _render_score_table(table: Table, subset: BenchmarkSubset, scale: BarScale) -> str:
    heads = [("Row", "label"), (f'<span class="hidden">Picture</span>{draw_scale(scale)}', "picture")]
    heads += [(name, "") for name in _SCORE_HEADS]
    rows = [_render_score_row(row, table.score(row, subset), scale) for row in table.rows]
    caption = f"{format_subset(subset)}: every row against the base and against {format_control(table.budget)}"
    return render_table(heads, rows, caption, kind="")


def _render_score_row(row: TableRow, score: Score | None, scale: BarScale) -> str:
    if score is None:
        return _render_row(
            row, [_render_cell("", "", "picture"), *(_render_cell(name, NOTHING) for name in _SCORE_HEADS)]
        )
    against = score.against_control
    gap = NOTHING
    if score.gap:
        moved = f"<small>{format_points(score.gap_change.mean)} by training</small>" if score.gap_change else ""
        gap = f"<b>{format_points(score.gap.mean)}</b>{moved}"
    before, blind, floor = (format_percent(spread.mean) for spread in (score.before, score.blind, score.text_floor))
    details = f"<small>before {before}</small><small>blind {blind}</small><small>text floor {floor}</small>"
    contents = (
        f"<b>{format_percent(score.after.mean)}</b>{details}",
        _format_estimate(score.change),
        _format_test(against),
        format_seed_range(against or score.change),
        gap,
    )
    cells = [_render_cell(name, content) for name, content in zip(_SCORE_HEADS, contents, strict=True)]
    return _render_row(row, [_render_cell("", draw_forest(score, scale, row.label), "picture"), *cells])


_SCORE_HEADS = ("Score", "Against the base", "Against SFT", "Over seeds", "Blind gap")


def _render_levels(table: Table, subset: BenchmarkSubset) -> str:
    charts = build_level_charts(table, subset)
    rival = "against SFT" if table.family.comparisons else "against the base"
    pictures = "".join(draw_levels(chart, f"points {rival}, by noise level") for chart in charts)
    return f'<div class="charts">{pictures}</div>' if pictures else ""


def _format_estimate(estimate: Estimate, mark: str = "", note: str = "") -> str:
    notes = filter(None, (format_points_interval(estimate.ci95), note, format_reach(estimate)))
    return f"<b>{mark}{format_points(estimate.mean)}</b>" + "".join(f"<small>{each}</small>" for each in notes)


def _format_test(estimate: TestedEstimate | None) -> str:
    """Format a difference, with a mark if it is significant after Holm's correction."""
    if estimate is None:
        return NOTHING
    mark = _format_mark(estimate.side)
    note = ALONE if estimate.is_unconfirmed else f"Holm {format_p_value(estimate.p_holm)}"
    return _format_estimate(estimate, mark, note)


def _render_details(table: Table) -> str:
    names = [name for name in TRAINING_HEADS if any(name in row.training for row in table.rows)]
    if not names:
        return ""
    heads = [("Row", "label"), *((TRAINING_HEADS[name].capitalize(), "") for name in names)]
    rows = [
        _render_row(
            row,
            [_render_cell(TRAINING_HEADS[name], format_training_value(name, row.training.get(name))) for name in names],
        )
        for row in table.rows
    ]
    legend = f'<p class="legend">{escape(DETAILS)}</p>'
    return render_section("Training", legend + render_table(heads, rows, "How post-training went", "plain"))


def _render_runs(table: Table) -> str:
    subsets = [subset for subset in table.subsets() if subset[1] == "test"]
    heads = [("Row", "label"), ("Seed", ""), ("State", "")]
    heads += [*((isolate_text(name), "") for name, _ in subsets), ("Run", "")]
    rows = []
    for row in table.rows:
        for cell in row.cells:
            contents = [_render_cell("Seed", str(cell.seed)), _render_cell("State", cell.status)]
            contents += [
                _render_cell(format_subset(subset), _format_seed(table.score(row, subset), row, cell))
                for subset in subsets
            ]
            rows.append(_render_row(row, [*contents, _render_cell("Run", _render_link(cell))], notes=False))
    listing = render_table(heads, rows, "Every run with its scores", "runs")
    return render_section("Every run", f"<details><summary>{len(rows)} runs</summary>{listing}</details>")


def _format_seed(score: Score | None, row: TableRow, cell: CellState) -> str:
    if score is None or cell.seed not in row.seeds_done:
        return NOTHING
    index = row.seeds_done.index(cell.seed)
    share, moved = score.after.seeds[index], (score.against_control or score.change).seeds[index]
    difference = f" <small>{format_points(moved)}</small>" if moved is not None else ""
    return format_percent(share) + difference if share is not None else NOTHING


def _render_link(cell: CellState) -> str:
    if cell.status != "done":
        return f"<code>{escape(cell.folder)}</code>"
    return f'<a href="{escape(quote(cell.folder))}/report.html">{isolate_text(cell.folder)}</a>'


def _render_paper(table: Table) -> str:
    if not table.paper:
        return ""
    columns = list_paper_columns(table)
    heads = [("Row", "label"), *((isolate_text(column), "") for column in columns)]
    rows = []
    for label, figures in table.paper.items():
        cells = [_render_cell(column, f"{figures[column]:g}" if column in figures else NOTHING) for column in columns]
        rows.append(render_row(isolate_text(label), cells))
    caption = f" {isolate_text(table.caption)}" if table.caption else ""
    legend = f'<p class="legend">{escape(PAPER[0].upper() + PAPER[1:])}.{caption}</p>'
    return render_section("In the paper", legend + render_table(heads, rows, PAPER, "plain"))


def _render_origin(table: Table) -> str:
    pairs = {
        "Command": f"<code>{escape(table.command)}</code>",
        "Budget": isolate_text(table.budget),
        "Intervals": f"{table.bootstrap:,} resamples",
        "Other files": "all figures in <code>compare.json</code>, every run in its own folder",
    }
    return render_section("How it was made", render_definitions(pairs.items()))


def _render_row(row: TableRow, cells: Sequence[str], *, notes: bool = True) -> str:
    below = _format_notes(row) if notes else ""
    return render_row(isolate_text(row.label) + below, cells, row.role)


def _format_notes(row: TableRow) -> str:
    """Format the notes under a label: control, number of finished seeds, number of failed ones."""
    words = ["control"] if row.role == "control" else []
    failed = sum(cell.status == "failed" for cell in row.cells)
    alarm = f'<small class="error">{failed} failed</small>' if failed else ""
    return f"<small>{', '.join([*words, format_seed_count(row)])}</small>{alarm}"


def _render_cell(name: str, content: str, kind: str = "") -> str:
    return render_cell(content, label=name or None, kind=kind)
