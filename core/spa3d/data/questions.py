"""Questions from facts and records, with the same wording for training and benchmarks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from spa3d.contracts.dataset import Fact
from spa3d.metrics.text_matching import mentions, words
from spa3d.runtime.rng import keyed_generator

Item = TypeVar("Item")

LETTERS = "ABCDEFGH"
OPTIONS = 4
_OPTION = re.compile(r"(?:^|(?<=\s))([A-H])\) (.+?)(?=\s+[A-H]\) |\s*(?:\n|$))")
OPTION_LETTER = re.compile(r"\(?([A-H])(?:\)|\.|$)")
"""Option letter at the start of an answer: "B", "(B)", "B.", "B) blue"."""
_ROTATION = "/rotation-"


def append_options(question: str, options: Sequence[str]) -> str:
    """Append lettered options: ``What color is the seat? A) red B) blue C) black D) white``."""
    return " ".join([question, *(f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=False))])


def draw_options(fact: Fact, *key: str | int, count: int = OPTIONS) -> tuple[str, ...] | None:
    """Draw the answer and ``count - 1`` distractors from the fact's options, shuffled.

    A pure function of `key`. None if the fact has too few other values.
    """
    return _draw([fact.answer], fact.options, key, count)


def draw_pair_options(before: Fact, after: Fact, *key: str | int, count: int = OPTIONS) -> tuple[str, ...] | None:
    """Draw options with both answers of a minimal pair; both members share the tuple."""
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
    """Sample at most `limit` of `items`, in order; depends only on their number and `key`."""
    if len(items) <= limit:
        return list(items)
    kept = keyed_generator("sample", *key).permutation(len(items))[:limit]
    return [items[i] for i in sorted(kept)]


def split_options(question: str) -> tuple[str, dict[str, str]]:
    """Split the text of `append_options` into the question and a mapping of letters to options."""
    matches = list(_OPTION.finditer(question))
    if len(matches) < 2 or matches[0][1] != "A":
        return question, {}
    return question[: matches[0].start()].rstrip(), {match[1]: match[2] for match in matches}


def chosen_option(answer: str, shown: dict[str, str]) -> str | None:
    """Letter of the option in `answer`: its leading letter, else the longest option in the text."""
    match = OPTION_LETTER.match(answer)
    if match and match[1] in shown:
        return match[1]
    mentioned = [letter for letter, option in shown.items() if mentions(answer, option)]
    return max(mentioned, key=lambda letter: len(words(shown[letter])), default=None)


def mark_rotation(question_id: str, steps: int) -> str:
    """Id of a question whose options are moved `steps` letters on; 0 is the question itself."""
    return f"{question_id}{_ROTATION}{steps}" if steps else question_id


def split_rotation(question_id: str) -> tuple[str, int]:
    """Split an id of `mark_rotation` into the id of the question and the steps."""
    base, mark, steps = question_id.rpartition(_ROTATION)
    return (base, int(steps)) if mark and steps.isdigit() else (question_id, 0)
