"""Tables of the hygiene of questions with options: of a file, and of answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spa3d.metrics.option_hygiene import OptionHygiene
from spa3d.rendering.html import isolate_text, render_cell, render_row, render_table
from spa3d.rendering.markdown import escape_markdown, render_markdown_table
from spa3d.rendering.numbers import NOTHING, format_percent
from spa3d.report.document import SideBySide

SET_HEADS = ("category", "questions", "chance", "right letters", "longest", "most frequent", "duplicates", "repeated")
SET_LEGEND = (
    "Shares in %. Longest, most frequent: scores of always picking the longest option, and the option that is most "
    "often right in the other questions of the category; far above chance, a question can be answered without looking. "
    "Duplicates repeat a question about the same record, repeated ones about another record."
)
ANSWER_LABELS = {
    "questions": "questions",
    "chance": "chance",
    "invalid": "answers without an option",
    "letters_right": "right letters",
    "letters_picked": "picked letters",
    "longest_option": "always the longest option",
    "most_frequent_option": "the option most often right in other questions of the kind",
    "solvable_blind": "right without the cloud",
    "consistent": "right under every rotation of the options",
    "consistent_blind": "the same without the cloud",
    "duplicates": "questions asked twice about a record",
    "repeated": "questions with the same options about another record",
}
"""Figures in words; those that a set lacks are left out."""
_NUMBERS = {"questions", "duplicates", "repeated"}
ANSWER_LEGEND = "Shares in %. Letters are listed from A on."


def list_set_cells(hygiene: Mapping[str, OptionHygiene]) -> Iterator[tuple[str, ...]]:
    """List the cells of `SET_HEADS`, one row per category."""
    for name, figures in hygiene.items():
        yield (
            name,
            f"{figures.questions:,}",
            format_percent(figures.chance),
            _format_letters(figures.letters),
            format_percent(figures.longest),
            format_percent(figures.most_frequent),
            str(figures.duplicates),
            str(figures.repeated),
        )


def render_set_hygiene(hygiene: Mapping[str, OptionHygiene]) -> str:
    """Render the hygiene of a file of questions as Markdown."""
    return render_markdown_table(SET_HEADS, (map(escape_markdown, row) for row in list_set_cells(hygiene)))


def render_markdown_hygiene(sides: SideBySide) -> str:
    """Render the hygiene of a benchmark's answers as Markdown; empty without options."""
    heads, rows = _collect(sides)
    return render_markdown_table(("", *heads), (map(escape_markdown, row) for row in rows)) if rows else ""


def render_hygiene(name: str, sides: SideBySide) -> str:
    """Render the hygiene of a benchmark's answers as HTML; empty without options."""
    heads, rows = _collect(sides)
    lines = [render_row(isolate_text(label), list(map(_render_cell, cells, heads))) for label, *cells in rows]
    columns = [("Figure", "label"), *((head.capitalize(), "") for head in heads)]
    return render_table(columns, lines, f"Hygiene of {name}") if rows else ""


def _render_cell(text: str, head: str) -> str:
    return render_cell(text, label=head)


def _collect(sides: SideBySide) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Heads and rows of a table: a column for each side that has answers."""
    columns = {name: score.hygiene for name, score in sides.scores.items() if score and score.hygiene}
    rows = [
        (label, *(_format(key, figures.get(key)) for figures in columns.values()))
        for key, label in ANSWER_LABELS.items()
        if any(key in figures for figures in columns.values())
    ]
    return [*columns], rows


def _format(key: str, value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, Mapping):
        return _format_letters(value)
    return f"{value:,}" if key in _NUMBERS else format_percent(value)


def _format_letters(letters: Mapping[str, float]) -> str:
    return " / ".join(f"{100 * share:.0f}" for share in letters.values())
