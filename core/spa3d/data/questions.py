"""How facts and records become questions: one wording, one sampling for training text and benchmarks alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from spa3d.contracts.dataset import CAPTION, Fact, Record, Round
from spa3d.metrics.text_matching import mentions, words
from spa3d.runtime.rng import keyed_generator

Item = TypeVar("Item")

LETTERS = "ABCDEFGH"
OPTIONS = 4
_OPTION = re.compile(r"(?:^|(?<=\s))([A-H])\) (.+?)(?=\s+[A-H]\) |\s*$)")
OPTION_LETTER = re.compile(r"\(?([A-H])(?:\)|\.|$)")
"""How an answer names an option by its letter: "B", "(B)", "B.", "B) blue"."""


def with_options(question: str, options: Sequence[str]) -> str:
    """`question` followed by lettered options: ``What color is the seat? A) red B) blue C) black D) white``."""
    return " ".join([question, *(f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=False))])


def draw_options(fact: Fact, *key: str | int, count: int = OPTIONS) -> tuple[str, ...] | None:
    """The answer and ``count - 1`` distractors from the fact's options, shuffled; a pure function of `key`.

    None where the fact has too few other values.
    """
    return _draw([fact.answer], fact.options, key, count)


def draw_pair_options(before: Fact, after: Fact, *key: str | int, count: int = OPTIONS) -> tuple[str, ...] | None:
    """Options that hold both answers of a minimal pair; the same tuple serves both members."""
    return _draw([before.answer, after.answer], before.options, key, count)


def _draw(must: list[str], pool: Sequence[str], key: tuple[str | int, ...], count: int) -> tuple[str, ...] | None:
    others = [option for option in pool if option not in must]
    missing = count - len(must)
    if len(others) < missing:
        return None
    stream = keyed_generator("options", *key)
    picked = [others[i] for i in stream.choice(len(others), size=missing, replace=False)]
    options = must + picked
    return tuple(options[i] for i in stream.permutation(len(options)))


def keyed_sample(items: Sequence[Item], limit: int, *key: str | int) -> list[Item]:
    """At most `limit` of `items`, in their order; a pure function of their number and `key`."""
    if len(items) <= limit:
        return list(items)
    kept = keyed_generator("sample", *key).permutation(len(items))[:limit]
    return [items[i] for i in sorted(kept)]


def caption_round(record: Record) -> Round | None:
    """Question and answer of the record's caption conversation, if there is one."""
    return next((conversation.rounds[0] for conversation in record.conversations if conversation.kind == CAPTION), None)


def shown_options(question: str) -> tuple[str, dict[str, str]]:
    """The question without its lettered options, and letter → option: what `with_options` joined."""
    found = list(_OPTION.finditer(question))
    if len(found) < 2 or found[0][1] != "A":
        return question, {}
    return question[: found[0].start()].rstrip(), {match[1]: match[2] for match in found}


def chosen_option(answer: str, shown: dict[str, str]) -> str | None:
    """The letter of the option that `answer` takes: named by its letter, or else the longest that stands in it."""
    named = OPTION_LETTER.match(answer)
    if named and named[1] in shown:
        return named[1]
    standing = [letter for letter, option in shown.items() if mentions(answer, option)]
    return max(standing, key=lambda letter: len(words(shown[letter])), default=None)
