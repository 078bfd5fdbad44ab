"""Markdown report of an evaluation: scores, tables, examples, conditions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from spa3d.rendering.markdown import escape_markdown, render_bullets, render_markdown_table
from spa3d.rendering.numbers import (
    NOTHING,
    format_percent,
    format_percent_interval,
    format_points,
    format_points_interval,
)
from spa3d.report.conditions import CALIBRATION_HEAD, format_calibration, format_mcnemar, format_reach
from spa3d.report.data_notes import render_data_notes
from spa3d.report.document import BenchmarkScore, KindScore, Shift
from spa3d.report.evaluation.document import (
    EvaluationDocument,
    ModelLine,
    ModelScore,
    ViewScore,
    collect_kinds,
    collect_model_lines,
    collect_views,
)
from spa3d.report.evaluation.examples import AnsweredExample
from spa3d.report.evaluation.wording import (
    LEGEND,
    describe_gains,
    describe_scores,
    describe_statistics,
    describe_table,
    format_headline,
    has_calibration,
    list_conditions,
)
from spa3d.report.further_tables import list_markdown_tables

HEAD = ("score", "blind", "cloud minus blind", "could see", "McNemar", "text floor", "chance", "majority", "n")
SPREAD = "spread"


def render_markdown(document: EvaluationDocument, examples: Sequence[AnsweredExample]) -> str:
    """Render report.md."""
    subject, score = format_headline(document)
    blocks = [f"**{escape_markdown(subject)}: {escape_markdown(score)}.**"]
    blocks += [escape_markdown(text) for text in describe_gains(document)]
    blocks += _notes(document)
    under, calibrated = escape_markdown(describe_table(document)), has_calibration(document)
    legend = f"{LEGEND} {describe_statistics(document)} {under}"
    blocks += ["## Scores", _table("", collect_model_lines(document), calibrated), legend]
    blocks += [escape_markdown(note) for note in describe_scores(document)]
    views = list(collect_views(document))
    if views:
        rows = ((escape_markdown(f"{name}, {view}"), *_view_cells(part)) for name, view, part in views)
        blocks += [
            "## Views",
            render_markdown_table(("", "score", "minus clean", "could see", "McNemar", "chance", "n"), rows),
            under,
        ]
    for name, block in document.benchmarks.items():
        kinds = collect_kinds(block)
        if kinds:
            blocks += [f"### {escape_markdown(name)} by kind", _table("kind", kinds, calibrated), under]
    blocks += list_markdown_tables({name: score.sides for name, score in document.benchmarks.items()})
    if examples:
        heads = ("record", "question", "reference", "answer", "blind")
        cells = ((each.record_id, each.question, each.reference, each.answer, each.blind) for each in examples)
        table = render_markdown_table(heads, (map(escape_markdown, row) for row in cells), numeric=False)
        blocks += ["## Examples", table]
    listed = render_bullets(f"{name}: {escape_markdown(value)}" for name, value in list_conditions(document))
    blocks += ["## How it was asked", listed]
    blocks.append(f"Every answer is in [`{document.predictions}`]({document.predictions}).")
    return "\n\n".join(block for block in blocks if block) + "\n"


def _notes(document: EvaluationDocument) -> Iterator[str]:
    about_data = list(render_data_notes(document.data))
    if document.notes or about_data:
        yield "## Warnings"
    if document.notes:
        yield render_bullets(map(escape_markdown, document.notes))
    yield from about_data


def _table(head: str, lines: Iterable[ModelLine], calibrated: bool) -> str:
    lines = list(lines)
    spread = any(isinstance(line.score, ModelScore) and line.score.spread is not None for line in lines)
    heads = (head, *HEAD[:1], *([SPREAD] if spread else []), *HEAD[1:], *(CALIBRATION_HEAD if calibrated else ()))
    rows = ([*_cells(line, spread=spread), *(_calibration(line) if calibrated else ())] for line in lines)
    return render_markdown_table(heads, rows)


def _calibration(line: ModelLine) -> tuple[str, ...]:
    calibration = line.score.calibration
    return format_calibration(calibration) if calibration else (NOTHING,) * len(CALIBRATION_HEAD)


def _cells(line: ModelLine, *, spread: bool) -> Iterator[str]:
    score = line.score
    yield escape_markdown(line.label if line.subset in ("test", "kind") else f"{line.benchmark}, {line.label}")
    yield f"{format_percent(score.score)} ({format_percent_interval(score.ci95)})"
    if spread:
        deviation = score.spread if isinstance(score, ModelScore) else None
        yield NOTHING if deviation is None else format_percent(deviation)
    yield f"{format_percent(score.blind)} ({format_percent_interval(score.blind_ci95)})"
    gap = score.gap if isinstance(score, BenchmarkScore) else None
    yield from _shift_cells(gap)
    yield format_percent(score.text_floor.score) if score.text_floor else NOTHING
    yield format_percent(score.chance)
    yield format_percent(score.majority) if isinstance(score, KindScore) else NOTHING
    yield f"{score.n:,}"


def _shift_cells(shift: Shift | None) -> tuple[str, ...]:
    """A difference, what could have been seen, and McNemar's test."""
    if shift is None:
        return (NOTHING,) * 3
    test = format_mcnemar(shift.mcnemar) if shift.mcnemar else NOTHING
    difference = f"{format_points(shift.score)} ({format_points_interval(shift.ci95)})"
    return difference, format_reach(shift) or NOTHING, test


def _view_cells(part: ViewScore) -> Iterator[str]:
    yield f"{format_percent(part.score)} ({format_percent_interval(part.ci95)})"
    yield from _shift_cells(part.change)
    yield format_percent(part.chance)
    yield f"{part.n:,}"
