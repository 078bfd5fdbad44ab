"""Parts of Markdown pages: escaped text, tables, lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from spa3d.runtime.plain_text import escape_controls

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~&#$])")


def escape_markdown(untrusted: str) -> str:
    """Escape untrusted text for a line or table cell: no markup, no control characters."""
    return _SPECIAL.sub(r"\\\1", escape_controls(" ".join(untrusted.split())))


def render_markdown_table(heads: Sequence[str], rows: Iterable[Iterable[str]], *, numeric: bool = True) -> str:
    """Render a table: the first column aligned left, the others right if `numeric`.

    Args:
        heads: plain text.
        rows: cells of escaped Markdown.
        numeric: whether all columns except the first contain numbers.

    """
    lines = [_row(map(escape_markdown, heads)), "|---|" + ("---:|" if numeric else "---|") * (len(heads) - 1)]
    return "\n".join([*lines, *map(_row, rows)])


def render_bullets(items: Iterable[str]) -> str:
    """Render a list; items are escaped Markdown."""
    return "\n".join(f"- {item}" for item in items)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
