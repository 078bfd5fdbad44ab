"""Writer of wrong answers by rule: replaces one stated value by another of the same fact.

The result is checked with the rules that score answers (`spa3d.metrics.text_matching`): the answer must state the new
value instead of the true one, and every other fact as before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from spa3d.contracts.dataset import Dataset, Fact
from spa3d.data.questions import OPTION_LETTER, chosen_option, keyed_sample, split_options
from spa3d.metrics.text_matching import asserts_fact, mentions, words
from spa3d.preferences.writers.contract import OnResult, RewriteRequest
from spa3d.preferences.writers.substitution import Span, find_spans, inflect_number, substitute
from spa3d.runtime.rng import keyed_generator

Item = TypeVar("Item")

SAMPLED_RECORDS = 64
"""Records searched for values of a fact whose own options have no false one."""

_SHADE = re.compile(r"\b(?:dark|light)\s+$", re.IGNORECASE)
_SHADELESS = frozenset({"black", "white"})
_SINGULAR = re.compile(r"\ban?\s+(?:[\w-]+\s+)?$", re.IGNORECASE)
"""An article before a singular, with at most one word between them."""
_VERB = re.compile(r"\b(?:is|are)\s+$", re.IGNORECASE)


class RuleWriter:
    """Writer of one changed fact; its draws depend on seed, record and texts only.

    Args:
        dataset: source of values for facts whose own options have no false one.
        seed: seed of the draws.

    """

    name = "rule"

    def __init__(self, dataset: Dataset, *, seed: int) -> None:
        self._dataset, self._seed = dataset, seed

    def rewrite(self, requests: Sequence[RewriteRequest], on_result: OnResult) -> None:
        """Rewrite every answer; None if it states no known fact, or none that can be changed."""
        for request in requests:
            text = self.rewrite_answer(request)
            on_result(request.key, text, "" if text else _explain_none(request))

    def rewrite_answer(self, request: RewriteRequest) -> str | None:
        """Make one stated fact of the answer false; None if that is impossible."""
        facts = request.record.facts
        stream = keyed_generator("corruption", self._seed, request.record.id, request.question, request.answer)
        stem, shown = split_options(request.question)
        question_fact = next((fact for fact in facts if words(fact.question) == words(stem)), None)
        chosen = chosen_option(request.answer, shown)
        if chosen:
            return _other_option(request.answer, shown, chosen, question_fact, facts, stream)
        stated = [
            claim
            for fact in facts
            if (claim := _Claim(fact, facts, fact is question_fact)).is_stated_in(request.answer)
        ]
        # If the question is about one fact, that fact is changed; in a description, any.
        possible = [claim for claim in stated if claim.requested] or stated
        changes = (self._changes(request.answer, claim, stream) for claim in _shuffle(possible, stream))
        return next((text for texts in changes for text in texts), None)

    def _changes(self, answer: str, claim: _Claim, stream: np.random.Generator) -> Iterator[str]:
        """Yield false versions of `answer` with another value of one fact, in a drawn order."""
        false = claim.false_values(claim.fact.options, answer) or claim.false_values(
            self._other_values(claim.fact), answer
        )
        for value in _shuffle(false, stream):
            for spans in claim.span_groups(answer):
                text = claim.insert_value(answer, value, spans)
                if text and claim.is_changed(answer, text, value):
                    yield text

    def _other_values(self, fact: Fact) -> Sequence[str]:
        return self._values.get((fact.kind, fact.subject), ())

    @cached_property
    def _values(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Options of the facts of sampled records, by (kind, subject)."""
        split = "train" if "train" in self._dataset.splits else self._dataset.splits[0]
        options: dict[tuple[str, str], dict[str, None]] = {}
        for record in keyed_sample(self._dataset.records(split), SAMPLED_RECORDS, "corruption"):
            for fact in record.facts:
                options.setdefault((fact.kind, fact.subject), {}).update(dict.fromkeys(fact.options))
        return {kind: tuple(values) for kind, values in options.items()}


@dataclass(frozen=True)
class _Claim:
    """Fact of a record that an answer may state.

    Attributes:
        fact: the fact.
        facts: all facts of the record.
        requested: whether the question is about this fact; if so, the answer need not name its subject.

    """

    fact: Fact
    facts: Sequence[Fact]
    requested: bool

    def is_stated_in(self, text: str) -> bool:
        return self._states(text, self.fact)

    def false_values(self, values: Sequence[str], text: str) -> list[str]:
        """The false ones of `values`; of the whole object, only those not in `text`."""
        return [
            value
            for value in values
            if not self.may_be_true(value) and (self.fact.subject or not mentions(text, value))
        ]

    def may_be_true(self, value: str) -> bool:
        """Whether `value` may be true: a wider or narrower name, or the value of another fact.

        The color of another part is false for a part, but may be true for the whole object.
        """
        subjects = {"", self.fact.subject}
        rivals = [
            other.answer
            for other in self.facts
            if other.kind == self.fact.kind and (not self.fact.subject or other.subject in subjects)
        ]
        return any(mentions(value, answer) or mentions(answer, value) for answer in rivals)

    def span_groups(self, text: str) -> list[list[Span]]:
        """Groups of spans to replace: each span alone, then all; for a category only all."""
        spans = find_spans(text, self.fact.answer)
        alone = [] if self.fact.kind == "category" or len(spans) == 1 else [[span] for span in spans]
        return [*alone, spans]

    def insert_value(self, text: str, value: str, spans: Sequence[Span]) -> str | None:
        """Insert `value` at `spans` of `text`; None if that is bad English ("dark white")."""
        around = [(text[:start], text[end:]) for start, end in spans]
        if any(_is_bad_english(value, before, after) for before, after in around):
            return None
        changed = substitute(text, spans, self.fact.answer, value)
        before, after = words(self.fact.answer), words(value)
        if before[0].isdigit() and (before == ("1",)) != (after == ("1",)):
            if _VERB.search(text[: spans[0][0]]):
                return None
            return inflect_number(changed, spans[0][0], self.fact.subject, singular=after == ("1",))
        return changed

    def is_changed(self, before: str, after: str, value: str) -> bool:
        """Whether `after` states `value` instead of the truth, and all other facts as `before` does."""
        other = replace(self.fact, answer=value, options=(*self.fact.options, value))
        subjects = self._subjects
        return (
            self._states(after, other)
            and not self._states(after, self.fact)
            and all(
                asserts_fact(after, fact, subjects) == asserts_fact(before, fact, subjects)
                for fact in self.facts
                if fact is not self.fact
            )
        )

    def _states(self, text: str, fact: Fact) -> bool:
        return (self.requested and mentions(text, fact.answer)) or asserts_fact(text, fact, self._subjects)

    @property
    def _subjects(self) -> set[str]:
        return {fact.subject for fact in self.facts}


def _other_option(
    answer: str,
    shown: dict[str, str],
    chosen: str,
    requested: Fact | None,
    facts: Sequence[Fact],
    stream: np.random.Generator,
) -> str | None:
    """Replace the option in `answer` by another, letter and text; None if all may be true."""
    truth = requested or Fact("", "", "", shown[chosen], ())
    claim = _Claim(truth, facts if requested else (truth,), requested=True)
    false = [letter for letter, option in shown.items() if letter != chosen and not claim.may_be_true(option)]
    if not false:
        return None
    letter = _shuffle(false, stream)[0]
    text = substitute(answer, find_spans(answer, shown[chosen]), shown[chosen], shown[letter])
    named = OPTION_LETTER.match(text)
    return text[: named.start(1)] + letter + text[named.end(1) :] if named else text


def _is_bad_english(value: str, before: str, after: str) -> bool:
    """Whether `value` does not fit its neighbors: "dark white", "a stairs", "slate blue-brown"."""
    many = words(value) != tuple(value.lower().split()) and not words(value)[0].isdigit()
    return (
        (value in _SHADELESS and bool(_SHADE.search(before)))
        or (many and bool(_SINGULAR.search(before)))
        or before.endswith("-")
        or after.startswith("-")
    )


def _explain_none(request: RewriteRequest) -> str:
    if not request.record.facts:
        return "nothing is known about the record (no facts), so no rule can make its answer false"
    return "the answer states no fact of its record that has another value to state"


def _shuffle(items: Sequence[Item], stream: np.random.Generator) -> list[Item]:
    return [items[i] for i in stream.permutation(len(items))]
