"""Parts of the cards that show an example: its cloud, its question, an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from spa3d.rendering.cloud_scene import PICTURE_SIZE, CloudImage
from spa3d.rendering.html import isolate_text

OPTION = re.compile(r"\s+(?=[A-H]\) )")
"""Gaps before lettered options, in the format of `spa3d.data.questions`."""


def render_cloud(image: CloudImage, caption: str, label: str) -> str:
    """Format the picture of a cloud, with its points for the script of the page."""
    size = f'width="{PICTURE_SIZE}" height="{PICTURE_SIZE}"'
    return (
        f'<figure class="cloud" data-points="{image.points}"><img src="{image.picture}" {size} alt="{escape(label)}">'
        f"<figcaption>{isolate_text(caption)}</figcaption></figure>"
    )


def render_question(prompt: str) -> str:
    """Format a prompt, with its lettered options less prominent than the question."""
    question, *options = OPTION.split(prompt)
    return isolate_text(question) + (f' <span class="options">{join_unbroken(options)}</span>' if options else "")


def join_unbroken(pieces: Iterable[str]) -> str:
    """Join pieces of text so that lines break only between them."""
    return " ".join(f'<span class="whole">{isolate_text(piece)}</span>' for piece in pieces)


def render_answer(answer: str, reference: str | None) -> str:
    """Format an answer, marked if it equals the reference."""
    same = reference is not None and _normalize_answer(answer) == _normalize_answer(reference)
    return isolate_text(answer) + (' <span class="same" title="the reference, word for word">✓</span>' if same else "")


def _normalize_answer(answer: str) -> str:
    return " ".join(answer.split()).casefold().rstrip(".")
