"""Text of strangers as it may be printed: control characters are shown, not obeyed."""

from __future__ import annotations


def visible(text: str) -> str:
    r"""`text` with every character that has no glyph as an escape (``\x1b``, ``\u202e``); line feeds stay."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
