"""Thoughts of a reasoning model, which are no part of its answer."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"<think>.*?</think>", re.DOTALL | re.IGNORECASE)
_OPENING, _CLOSING = re.compile("<think>", re.IGNORECASE), re.compile("</think>", re.IGNORECASE)


def strip_thoughts(reply: str) -> str | None:
    """Strip ``<think>…</think>`` from a reply; None if a thought does not end.

    Many chat templates open the first thought in the prompt, so what is before a lone ``</think>`` is a thought, too. A
    reply without thoughts comes back as it is.
    """
    text = _CLOSING.split(_BLOCK.sub("", reply))[-1]
    if _OPENING.search(text):
        return None
    return reply if text == reply else text.strip()
