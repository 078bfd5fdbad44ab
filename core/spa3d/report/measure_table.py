"""Tables of the further figures of benchmarks, such as BLEU, in Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator

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
from spa3d.report.document import BenchmarkScore, MeasureShift, SideBySide

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


def list_measures(sides: SideBySide) -> list[str]:
    """List the names of a benchmark's further figures; none if it has none."""
    scores = [score for score in sides.scores.values() if score]
    return [*dict.fromkeys(name for score in scores for name in (*score.measures, *score.blind_measures))]


def render_markdown_measures(sides: SideBySide) -> str:
    """Render the figures of a benchmark as Markdown; empty without any."""
    heads = [head for side in sides.scores for head in (side, f"blind {side}")]
    heads += [] if sides.changes is None else ["change"]
    names = list_measures(sides)
    return render_markdown_table(("", *heads), (_cells(name, sides) for name in names)) if names else ""


def render_measures(name: str, sides: SideBySide) -> str:
    """Render the figures of a benchmark as HTML; empty without any."""
    rows = [render_row(isolate_text(title_measure(each)), _stacks(each, sides)) for each in list_measures(sides)]
    heads = [("Figure", "label"), *((side.capitalize(), "") for side in sides.scores)]
    heads += [] if sides.changes is None else [("Change", "")]
    return render_table(heads, rows, f"Further figures of {name}") if rows else ""


def title_measure(name: str) -> str:
    """Title of a figure: its meaning in words, or its name."""
    return NAMES.get(name, name)


def _stacks(name: str, sides: SideBySide) -> list[str]:
    cells = [render_cell(_stack(name, score), label=side.capitalize()) for side, score in sides.scores.items()]
    if sides.changes is not None:
        cells.append(render_cell(_stack_change(sides.changes.get(name)), label="Change"))
    return cells


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


def _cells(name: str, sides: SideBySide) -> Iterator[str]:
    yield escape_markdown(title_measure(name))
    for side in sides.scores.values():
        yield _mean(name, side)
        blind = side.blind_measures.get(name) if side else None
        yield NOTHING if blind is None else format_percent(blind)
    if sides.changes is not None:
        change = sides.changes.get(name)
        yield f"{format_points(change.score)} ({format_points_interval(change.ci95)})" if change else NOTHING


def _mean(name: str, side: BenchmarkScore | None) -> str:
    if side is None or name not in side.measures:
        return NOTHING
    interval = side.measure_ci95.get(name)
    return format_percent(side.measures[name]) + (f" ({format_percent_interval(interval)})" if interval else "")
