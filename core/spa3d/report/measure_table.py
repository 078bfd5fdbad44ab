"""Tables of the further figures of benchmarks, such as BLEU, in Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from spa3d.metrics.caption_scores import TITLES
from spa3d.rendering.html import isolate_text, render_cell, render_row, render_table
from spa3d.rendering.markdown import escape_markdown, render_markdown_table
from spa3d.rendering.numbers import (
    NOTHING,
    format_percent,
    format_percent_interval,
    format_points,
    format_points_interval,
)
from spa3d.report.document import BenchmarkResult, BenchmarkScore, MeasureShift

HEADS = ("before", "blind before", "after", "blind after", "change")
NAMES = {
    "false_facts": "stated facts that are false (less is better)",
    "own_cloud": "right with the record's own cloud",
    "easy_cloud": "right with a cloud that lacks what is asked about",
    "hard_cloud": "right with a cloud that has another answer",
    "relevance_auroc": "AUROC of relevance",
    "consistent": "right under every rotation of the options",
    **TITLES,
}
"""Figures in words."""
LEGEND = "Means over the answers that have the figure, times 100, with 95 % intervals; blind: without the cloud."


class MeasureLine(NamedTuple):
    """Line of a table: one figure before and after post-training."""

    name: str
    before: BenchmarkScore | None
    after: BenchmarkScore | None
    change: MeasureShift | None

    @property
    def title(self) -> str:
        """The figure in words."""
        return NAMES.get(self.name, self.name)


def collect_measure_lines(block: BenchmarkResult) -> list[MeasureLine]:
    """Collect the lines of one benchmark; none if it has no further figures."""
    sides = [side for side in (block.before, block.after) if side]
    names = dict.fromkeys(name for side in sides for name in (*side.measures, *side.blind_measures))
    changes = block.change.measures if block.change else {}
    return [MeasureLine(name, block.before, block.after, changes.get(name)) for name in names]


def render_markdown_measures(block: BenchmarkResult) -> str:
    """Render the figures of a benchmark as Markdown; empty without any."""
    lines = collect_measure_lines(block)
    return render_markdown_table(("", *HEADS), map(_cells, lines)) if lines else ""


def render_measures(name: str, block: BenchmarkResult) -> str:
    """Render the figures of a benchmark as HTML; empty without any."""
    heads = [("Figure", "label"), ("Before", ""), ("After", ""), ("Change", "")]
    rows = [
        render_row(
            isolate_text(line.title),
            [
                render_cell(_stack(line.name, line.before), label="Before"),
                render_cell(_stack(line.name, line.after), label="After"),
                render_cell(_stack_change(line.change), label="Change"),
            ],
        )
        for line in collect_measure_lines(block)
    ]
    return render_table(heads, rows, f"Further figures of {name}") if rows else ""


def _stack(name: str, side: BenchmarkScore | None) -> str:
    """Mean, interval and blind mean of one side, for HTML."""
    if side is None or name not in side.measures:
        return NOTHING
    interval, blind = side.measure_ci95.get(name), side.blind_measures.get(name)
    parts = [f"<b>{format_percent(side.measures[name])}</b>"]
    parts += [f"<small>{format_percent_interval(interval)}</small>"] if interval else []
    return "".join([*parts, f"<small>blind {NOTHING if blind is None else format_percent(blind)}</small>"])


def _stack_change(change: MeasureShift | None) -> str:
    if change is None:
        return NOTHING
    return f"<b>{format_points(change.score)}</b><small>{format_points_interval(change.ci95)}</small>"


def _cells(line: MeasureLine) -> Iterator[str]:
    yield escape_markdown(line.title)
    for side in (line.before, line.after):
        yield _mean(line.name, side)
        blind = side.blind_measures.get(line.name) if side else None
        yield NOTHING if blind is None else format_percent(blind)
    change = line.change
    yield f"{format_points(change.score)} ({format_points_interval(change.ci95)})" if change else NOTHING


def _mean(name: str, side: BenchmarkScore | None) -> str:
    if side is None or name not in side.measures:
        return NOTHING
    interval = side.measure_ci95.get(name)
    return format_percent(side.measures[name]) + (f" ({format_percent_interval(interval)})" if interval else "")
