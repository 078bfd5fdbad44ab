"""Markdown report: verdict, warnings, tables, examples, settings of the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from spa3d.rendering.markdown import escape_markdown, render_bullets, render_markdown_table
from spa3d.rendering.numbers import (
    NOTHING,
    format_count,
    format_p_value,
    format_percent,
    format_percent_interval,
    format_points,
    format_points_interval,
)
from spa3d.report.conditions import (
    CALIBRATION,
    CALIBRATION_HEAD,
    STATISTICS,
    describe_conditions,
    format_calibration,
    format_mcnemar,
    format_reach,
    has_calibration,
)
from spa3d.report.data_notes import render_data_notes
from spa3d.report.document import (
    BenchmarkScore,
    Document,
    KindScore,
    ScoreLine,
    collect_kind_lines,
    collect_score_lines,
)
from spa3d.report.examples import Example
from spa3d.report.further_tables import list_markdown_tables
from spa3d.report.run_details import run_details
from spa3d.report.training_sentence import describe_health
from spa3d.report.verdict import describe_cloud_gain, judge_run

HEAD = (
    *("before", "blind before", "after", "blind after", "change", "could see", "p", "McNemar"),
    *("text floor", "chance", "majority", "n"),
)
LEGEND = (
    "Shares in %, changes in points; in brackets 95 % bootstrap intervals over groups of look-alike records, "
    "paired for changes. *Blind* is the same model without the cloud. *Text floor* is the best score that text alone "
    "gives: blind, the most frequent training answer to each question, or the most frequent answer to each kind. "
    + STATISTICS
)


def render_markdown(document: Document, examples: Sequence[Example]) -> str:
    """Render report.md; its first line is the verdict."""
    blocks = [f"**{escape_markdown(judge_run(document).sentence)}**", escape_markdown(describe_cloud_gain(document))]
    blocks += [escape_markdown(describe_health(document.training.health))]
    blocks += _warnings(document)
    blocks += ["## Scores", render_score_table(document), describe_table(document)]
    blocks += [escape_markdown(note) for note in describe_benchmarks(document)]
    for name, block in document.benchmarks.items():
        lines = list(collect_kind_lines(block))
        if len(lines) > 1:
            blocks += [f"### {escape_markdown(name)} by kind", _table("kind", lines, has_calibration(document))]
    blocks += list_markdown_tables({name: block.sides for name, block in document.benchmarks.items()})
    blocks += _examples(examples)
    blocks += [
        "## How it was run",
        render_bullets(f"{name}: {escape_markdown(value)}" for name, value in run_details(document)),
    ]
    pairs = "the preference pairs in [`pairs.jsonl`](pairs.jsonl), " if document.passport.get("pairs") else ""
    blocks.append(
        f"Every answer behind these figures is in [`{document.predictions}`]({document.predictions}), {pairs}"
        f"the curves are in [`{document.training.curves}`]({document.training.curves}); all settings are in "
        "[`config.yaml`](config.yaml), all versions and hashes in [`passport.json`](passport.json)."
    )
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_score_table(document: Document) -> str:
    """Render the main table: each score beside its blind score, text floor, chance and interval."""
    return _table("", collect_score_lines(document), has_calibration(document))


def describe_table(document: Document) -> str:
    """Describe the columns of the tables, and the conditions of their figures."""
    conditions = escape_markdown(describe_conditions(document))
    return " ".join(filter(None, (LEGEND, CALIBRATION if has_calibration(document) else "", conditions)))


def describe_benchmarks(document: Document) -> Iterator[str]:
    """Describe each benchmark in a note, and name the benchmarks without questions."""
    for name, block in document.benchmarks.items():
        phases = [phase for phase in (block.before, block.after) if phase]
        last = phases[-1]
        clauses = [
            f"{name}: {format_count(last.n, last.unit or 'question')} about {format_count(last.records, 'record')}"
        ]
        clauses.append(f"the usual answer to each kind of question scores {format_percent(last.majority)} %")
        clauses.append(f"unreadable answers {_course([phase.invalid for phase in phases])} %")
        normalized = [phase.normalized for phase in phases if phase.normalized is not None]
        if normalized:
            clauses.append(f"picking options by log p per token scores {_course(normalized)} %")
        yield "; ".join(clauses) + "."
    for name in document.not_asked:
        yield f"{name}: no questions for these data."


def _course(values: Sequence[float]) -> str:
    return " → ".join(format_percent(value) for value in values)


def _table(head: str, lines: Iterable[ScoreLine], calibrated: bool) -> str:
    heads = (head, *HEAD, *(CALIBRATION_HEAD if calibrated else ()))
    return render_markdown_table(
        heads, ([*_cells(line), *(_calibration(line) if calibrated else ())] for line in lines)
    )


def _calibration(line: ScoreLine) -> tuple[str, ...]:
    """Course of ECE and Brier score, before and after."""
    sides = [side.calibration for side in (line.before, line.after) if side and side.calibration]
    if not sides:
        return (NOTHING,) * len(CALIBRATION_HEAD)
    return tuple(" → ".join(values) for values in zip(*map(format_calibration, sides), strict=True))


def _cells(line: ScoreLine) -> Iterator[str]:
    yield escape_markdown(line.label if line.subset in ("test", "kind") else f"{line.benchmark}, {line.label}")
    for side in (line.before, line.after):
        yield f"{format_percent(side.score)} ({format_percent_interval(side.ci95)})" if side else NOTHING
        yield format_percent(side.blind) if side else NOTHING
    change = line.change
    yield f"{format_points(change.score)} ({format_points_interval(change.ci95)})" if change else NOTHING
    yield (format_reach(change) if change else "") or NOTHING
    yield format_p_value(change.p).removeprefix("p = ").removeprefix("p ") if change else NOTHING
    yield format_mcnemar(change.mcnemar) if change and change.mcnemar else NOTHING
    last = line.after or line.before
    yield format_percent(last.text_floor.score) if last and last.text_floor else NOTHING
    yield format_percent(last.chance) if last else NOTHING
    yield format_percent(last.majority) if isinstance(last, KindScore | BenchmarkScore) else NOTHING
    yield str(last.n) if last else NOTHING


def _warnings(document: Document) -> Iterator[str]:
    about_data = list(render_data_notes(document.data))
    if document.training.warnings or document.notes or about_data:
        yield "## Warnings"
    if document.notes:
        yield render_bullets(map(escape_markdown, document.notes))
    if document.training.warnings:
        yield render_bullets(f"Watchdog: {escape_markdown(text)}" for text in document.training.warnings)
    yield from about_data


def _examples(examples: Sequence[Example]) -> Iterator[str]:
    if not examples:
        return
    yield "## Examples"
    rows = [
        (example.record_id, example.question, example.reference, example.before, example.after, example.blind)
        for example in examples
    ]
    heads = ("record", "question", "reference", "before", "after", "blind")
    yield render_markdown_table(heads, (map(escape_markdown, row) for row in rows), numeric=False)
