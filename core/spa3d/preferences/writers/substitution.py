"""Substitution of values in a text with agreement: "a brown leg" → "an orange leg".

Words are compared as `spa3d.metrics.text_matching` compares them: without case, in the singular, numbers as digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from spa3d.metrics.text_matching import words

Span = tuple[int, int]

_WORD = re.compile(r"[^\W_]+")
_ARTICLE_BEFORE = re.compile(r"\b(an?)(?=\s+$)", re.IGNORECASE)


def find_spans(text: str, value: str) -> list[Span]:
    """Find `value` in `text`: (start, end) in characters, from left to right, not nested."""
    target, size = words(value), len(_WORD.findall(value))
    tokens = [match.span() for match in _WORD.finditer(text)]
    spans: list[Span] = []
    for first in range(len(tokens) - size + 1) if target else ():
        start, end = tokens[first][0], tokens[first + size - 1][1]
        if words(text[start:end]) == target and (not spans or start >= spans[-1][1]):
            spans.append((start, end))
    return spans


def substitute(text: str, spans: Iterable[Span], old: str, new: str) -> str:
    """Put `new` at each of `spans` of `text`, where `old` stands.

    The new value gets capital, plural and digits of the old one, and the article in front of it is adapted.
    """
    for start, end in sorted(spans, reverse=True):
        value = _match_form(text[start:end], old, new)
        text = _fix_article(text[:start], value) + value + text[end:]
    return text


def inflect_number(text: str, after: int, noun: str, *, singular: bool) -> str:
    """Put the first `noun` behind position `after` of `text` into the singular or the plural."""
    span = next((span for span in find_spans(text, noun) if span[0] >= after), None)
    if span is None:
        return text
    *head, last = noun.split()
    form = " ".join([*head, words(last)[0] if singular else pluralize(last)])
    return text[: span[0]] + form + text[span[1] :]


def pluralize(word: str) -> str:
    """Form the plural of a regular English noun; a plural is returned as it is."""
    if words(word) != (word.lower(),):
        return word
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def _match_form(written: str, old: str, new: str) -> str:
    """Return `new` with the capital, plural and digits of `written`."""
    if written.isdigit() and words(new)[0].isdigit():
        return words(new)[0]
    if written.lower() != old.lower() and written.lower() == pluralize(old).lower():
        new = pluralize(new)
    return new[:1].upper() + new[1:] if written[:1].isupper() and old[:1].islower() else new


def _fix_article(before: str, value: str) -> str:
    """Adapt the article at the end of `before`, if there is one, to the following `value`."""

    def replace_article(match: re.Match[str]) -> str:
        return match[1][0] + ("n" if value[:1].lower() in "aeiou" else "")

    return _ARTICLE_BEFORE.sub(replace_article, before)
