"""Warnings of a report about its data: records left out, and data that were changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spa3d.rendering.html import isolate_text
from spa3d.rendering.markdown import escape_markdown, render_bullets
from spa3d.rendering.numbers import format_count


def list_data_notes(data: Mapping[str, Any]) -> Iterator[str]:
    """List the warnings about the data of a report as items of its page, folded."""
    skipped, notes = _list_lines(data, "skipped"), _list_lines(data, "notes")
    if skipped:
        count = format_count(len(skipped), "record")
        yield _fold_list(f"<strong>{count} left out</strong>, unreadable", skipped)
    if notes:
        count = format_count(len(notes), "note")
        yield _fold_list(f"<strong>{count}</strong> on data that are cut, converted or ignored", notes)


def render_data_notes(data: Mapping[str, Any]) -> Iterator[str]:
    """Render the warnings about the data of a report as blocks of Markdown."""
    skipped, notes = _list_lines(data, "skipped"), _list_lines(data, "notes")
    if skipped:
        yield f"{format_count(len(skipped), 'record')} left out, unreadable:"
        yield render_bullets(map(escape_markdown, skipped))
    if notes:
        yield f"{format_count(len(notes), 'note')} on data that are cut, converted or ignored:"
        yield render_bullets(map(escape_markdown, notes))


def _fold_list(summary: str, lines: Sequence[str]) -> str:
    """Format lines that are folded behind a summary."""
    listed = "".join(f"<li>{isolate_text(line)}</li>" for line in lines)
    return f"<details><summary>{summary}</summary><ul>{listed}</ul></details>"


def _list_lines(data: Mapping[str, Any], key: str) -> list[str]:
    lines = data.get(key)
    return [str(line) for line in lines] if isinstance(lines, list | tuple) else []
