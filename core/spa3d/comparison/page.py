"""compare.html: one file that needs no network and no script, reads on a phone, and follows light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from urllib.parse import quote

from spa3d.comparison.document import CellState, Estimate, Score, Table, TableRow, Tested
from spa3d.comparison.figures import Axis, axis_scale, forest, level_charts, level_figure, shared_axis
from spa3d.comparison.markdown import paper_columns
from spa3d.comparison.wording import (
    DETAILS,
    LEGEND,
    PAPER,
    TRAINING_HEADS,
    control_name,
    ends_told,
    marks_told,
    part_name,
    seeds_told,
    training_told,
)
from spa3d.rendering.numbers import NOTHING, count, p_value, percent, points, points_span
from spa3d.report.tables import text

Part = tuple[str, str]
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_page(table: Table) -> str:
    """The text of compare.html."""
    styles = [files(package).joinpath("page.css").read_text(encoding="utf-8") for package in _STYLED]
    sections = [_head(table), _faults(table), *_benchmarks(table), _details(table), _runs(table)]
    sections += [_paper(table), _how(table)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(table.title)} · spa3d compare</title>\n<style>\n{''.join(styles)}</style></head>\n"
        "<body><main>\n" + "\n".join(section for section in sections if section) + "\n</main></body></html>\n"
    )


_STYLED = ("spa3d.report", "spa3d.comparison")


def _head(table: Table) -> str:
    first, *more = table.verdict
    claim, colon, evidence = first.partition(": ")
    ledes = "".join(f'<p class="lede">{text(sentence)}</p>' for sentence in more)
    return (
        f'<header class="{_tone(table)}"><h1><span class="claim">{text(claim + colon.strip())}</span> '
        f'<span class="evidence">{text(evidence)}</span></h1>{ledes}'
        f'<p class="meta">{text(table.title)} <span>/</span> budget: {text(table.budget)}</p></header>'
    )


def _tone(table: Table) -> str:
    """Good news only where a row beats its control on the first score."""
    parts = table.parts()
    if not parts:
        return "open"
    found = [table.score(row, parts[0]) for row in table.rows]
    sides = {score.against_control.side for score in found if score and score.against_control}
    return "helped" if 1 in sides else "even"


def _faults(table: Table) -> str:
    items = [
        f"<li><strong>{text(row.label)}:</strong> {text(fault)}</li>" for row in table.rows for fault in row.faults
    ]
    for row in table.rows:
        said = [warning for cell in row.cells for warning in cell.warnings]
        if said:
            runs = sum(bool(cell.warnings) for cell in row.cells)
            told = f"watchdog in {runs} of {len(row.seeds_done)} runs: {said[0]}"
            items.append(f"<li><strong>{text(row.label)}:</strong> {text(told)}</li>")
    return f'<section class="warnings" aria-label="Warnings"><ul>{"".join(items)}</ul></section>' if items else ""


def _benchmarks(table: Table) -> Iterable[str]:
    rival = control_name(table.budget)
    legend = (
        f'<p class="legend"><span class="key score after"></span>against {escape(rival)} '
        '<span class="key blind before"></span>against the base <span class="key tick"></span>each seed. '
        f"{escape(LEGEND)} {escape(marks_told(table, 'alone only'))}</p>"
    )
    for number, name in enumerate(dict.fromkeys(name for name, _ in table.parts())):
        body = "" if number else legend
        for part in (part for part in table.parts() if part[0] == name):
            body += _part(table, part)
        yield _section(text(name), body, "scores")


def _part(table: Table, part: Part) -> str:
    """The table of one score; other sets are folded away unless something moved there for sure."""
    scores = [score for row in table.rows if (score := table.score(row, part))]
    unit = "pair" if part[1] == "flip" else "question"
    asked = f"{count(scores[0].questions, unit)}, chance {percent(scores[0].chance)} %"
    drawn = f'<p class="meta">{asked}</p>{_score_table(table, part, shared_axis(scores))}{_levels(table, part)}'
    if part[1] == "test":
        return drawn
    moved = any(score.against_control and score.against_control.side for score in scores)
    return f"<details{' open' if moved else ''}><summary>{text(part_name(part))}</summary>{drawn}</details>"


def _score_table(table: Table, part: Part, axis: Axis) -> str:
    heads = [("Row", "label"), (f'<span class="hidden">Picture</span>{axis_scale(axis)}', "picture")]
    heads += [(name, "") for name in _SCORE_HEADS]
    rows = [_score_row(row, table.score(row, part), axis) for row in table.rows]
    return _table(
        heads, rows, f"{part_name(part)}: every row against the base and against {control_name(table.budget)}"
    )


def _score_row(row: TableRow, score: Score | None, axis: Axis) -> str:
    if score is None:
        return _row(row, [_cell("", "", "picture"), *(_cell(name, NOTHING) for name in _SCORE_HEADS)])
    held = score.against_control
    gap = NOTHING
    if score.gap:
        moved = f"<small>{points(score.gap_change.mean)} by training</small>" if score.gap_change else ""
        gap = f"<b>{points(score.gap.mean)}</b>{moved}"
    beside = f"<small>before {percent(score.before.mean)}</small><small>blind {percent(score.blind.mean)}</small>"
    contents = (
        f"<b>{percent(score.after.mean)}</b>{beside}",
        _estimate(score.change),
        _tested(held),
        ends_told(held or score.change),
        gap,
    )
    cells = [_cell(name, content) for name, content in zip(_SCORE_HEADS, contents, strict=True)]
    return _row(row, [_cell("", forest(score, axis, row.label), "picture"), *cells])


_SCORE_HEADS = ("Score", "Against the base", "Against SFT", "Over seeds", "Blind gap")


def _levels(table: Table, part: Part) -> str:
    charts = level_charts(table, part)
    rival = "against SFT" if table.family.comparisons else "against the base"
    drawn = "".join(level_figure(chart, f"points {rival}, by noise level") for chart in charts)
    return f'<div class="charts">{drawn}</div>' if drawn else ""


def _estimate(found: Estimate) -> str:
    return f"<b>{points(found.mean)}</b><small>{points_span(found.ci95)}</small>"


def _tested(found: Tested | None) -> str:
    """A difference with a mark where it stands after Holm's correction."""
    if found is None:
        return NOTHING
    mark = {1: '<i class="up">▲</i>', -1: '<i class="down">▼</i>', 0: ""}[found.side]
    note = "alone only" if found.lucky else f"Holm {p_value(found.p_holm)}"
    return f"<b>{mark}{points(found.mean)}</b><small>{points_span(found.ci95)}</small><small>{note}</small>"


def _details(table: Table) -> str:
    names = [name for name in TRAINING_HEADS if any(name in row.training for row in table.rows)]
    if not names:
        return ""
    heads = [("Row", "label"), *((TRAINING_HEADS[name].capitalize(), "") for name in names)]
    rows = [
        _row(row, [_cell(TRAINING_HEADS[name], training_told(name, row.training.get(name))) for name in names])
        for row in table.rows
    ]
    legend = f'<p class="legend">{escape(DETAILS)}</p>'
    return _section("Training", legend + _table(heads, rows, "How post-training went", "plain"))


def _runs(table: Table) -> str:
    parts = [part for part in table.parts() if part[1] == "test"]
    heads = [("Row", "label"), ("Seed", ""), ("State", ""), *((text(name), "") for name, _ in parts), ("Run", "")]
    rows = []
    for row in table.rows:
        for cell in row.cells:
            contents = [_cell("Seed", str(cell.seed)), _cell("State", cell.status)]
            contents += [_cell(part_name(part), _of_seed(table.score(row, part), row, cell)) for part in parts]
            rows.append(_row(row, [*contents, _cell("Run", _link(cell))], notes=False))
    drawn = _table(heads, rows, "Every run with its scores", "runs")
    return _section("Every run", f"<details><summary>{len(rows)} runs</summary>{drawn}</details>")


def _of_seed(score: Score | None, row: TableRow, cell: CellState) -> str:
    if score is None or cell.seed not in row.seeds_done:
        return NOTHING
    place = row.seeds_done.index(cell.seed)
    share, moved = score.after.seeds[place], (score.against_control or score.change).seeds[place]
    told = f" <small>{points(moved)}</small>" if moved is not None else ""
    return percent(share) + told if share is not None else NOTHING


def _link(cell: CellState) -> str:
    if cell.status != "done":
        return f"<code>{escape(cell.folder)}</code>"
    return f'<a href="{escape(quote(cell.folder))}/report.html">{text(cell.folder)}</a>'


def _paper(table: Table) -> str:
    if not table.paper:
        return ""
    columns = paper_columns(table)
    heads = [("Row", "label"), *((text(column), "") for column in columns)]
    rows = []
    for label, figures in table.paper.items():
        cells = [_cell(column, f"{figures[column]:g}" if column in figures else NOTHING) for column in columns]
        rows.append(
            f'<tr role="row"><th scope="row" role="rowheader" class="label">{text(label)}</th>{"".join(cells)}</tr>'
        )
    caption = f" {text(table.caption)}" if table.caption else ""
    legend = f'<p class="legend">{escape(PAPER[0].upper() + PAPER[1:])}.{caption}</p>'
    return _section("In the paper", legend + _table(heads, rows, PAPER, "plain"))


def _how(table: Table) -> str:
    pairs = {
        "Command": f"<code>{escape(table.command)}</code>",
        "Budget": text(table.budget),
        "Intervals": f"{table.bootstrap:,} resamples",
        "Beside this file": "all figures in <code>compare.json</code>, every run in its own folder",
    }
    told = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in pairs.items())
    return _section("How it was made", f"<dl>{told}</dl>")


def _row(row: TableRow, cells: Sequence[str], *, notes: bool = True) -> str:
    told = _notes(row) if notes else ""
    label = f'<th scope="row" role="rowheader" class="label">{text(row.label)}{told}</th>'
    return f'<tr role="row" class="{row.role}">{label}{"".join(cells)}</tr>'


def _notes(row: TableRow) -> str:
    """Under a label: whether it is a control, how many seeds are done, how many failed (why, stands above)."""
    told = ["control"] if row.role == "control" else []
    failed = sum(cell.status == "failed" for cell in row.cells)
    alarm = f'<small class="fault">{failed} failed</small>' if failed else ""
    return f"<small>{', '.join([*told, seeds_told(row)])}</small>{alarm}"


def _table(heads: Iterable[tuple[str, str]], rows: Iterable[str], caption: str, kind: str = "") -> str:
    """Heads are HTML with their class; on a phone the style sheet turns rows into cards, hence the explicit roles."""
    cells = "".join(f'<th scope="col" role="columnheader" class="{kind}">{head}</th>' for head, kind in heads)
    return (
        f'<table role="table" class="{kind}"><caption class="hidden">{escape(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{cells}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(rows)}</tbody></table>'
    )


def _cell(name: str, content: str, kind: str = "") -> str:
    label = f' data-label="{escape(name)}"' if name else ""
    return f'<td role="cell" class="{kind}"{label}>{content}</td>'


def _section(name: str, body: str, kind: str = "") -> str:
    return f'<section class="{kind}"><h2>{name}</h2>{body}</section>'
