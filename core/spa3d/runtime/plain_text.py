"""Safe display of foreign text: control characters become visible escapes."""

from __future__ import annotations

from unicodedata import category

KEPT = "\n\u200c\u200d"
"""Shown as they are: the line break, and the two joiners that Persian, Indic scripts and emoji need."""


def escape_controls(text: str) -> str:
    r"""Replace control characters and marks of direction by escapes such as ``\x1b``.

    A terminal would obey the first (colors, title, clipboard), and the second reverse the order of what follows.
    Line breaks stay.
    """
    return text if text.isprintable() else "".join(map(_show, text))


def _show(character: str) -> str:
    # A space of another width is not printable for Python, but harmless.
    harmless = character.isprintable() or character in KEPT or category(character) == "Zs"
    return character if harmless else repr(character)[1:-1]
