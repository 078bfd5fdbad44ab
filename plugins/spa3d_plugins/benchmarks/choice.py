"""Benchmark ``choice``: one question, four options, the most likely one counts.

The questions come from the records' facts. Where a dataset has none, the options are captions: the object's own and
three of other objects of the split, never of the same group.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Literal

from pydantic import Field

from spa3d.contracts.benchmark import Benchmark, Prediction, Question, Verdict
from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import Dataset, Fact, Record, Round
from spa3d.data.questions import (
    LETTERS,
    OPTIONS,
    caption_round,
    draw_options,
    draw_pair_options,
    keyed_sample,
    with_options,
)
from spa3d.metrics.text_matching import words
from spa3d.runtime.rng import keyed_generator


class Config(ComponentConfig):
    """How many questions, and what counts as an answer."""

    per_kind: int = Field(400, ge=1)
    """Most questions of a kind (category, color, ...) in a split: a keyed sample, so that no kind drowns another."""
    flips: int = Field(400, ge=0)
    """Most minimal pairs (an object and its twin) in a split."""
    answer_style: Literal["text", "letter"] = "text"
    """Score the options' texts, or their letters; letters need an LLM that was taught to answer with them."""


class Choice(Benchmark):
    """Multiple choice by likelihood, ties to the first option."""

    Config = Config

    def questions(self, dataset: Dataset, split: str, seed: int) -> Sequence[Question]:
        """At most ``per_kind`` questions of each kind; the options are drawn by (seed, record, kind, subject)."""
        records = dataset.records(split)
        places: dict[str, list[tuple[int, int]]] = {}
        for number, record in enumerate(records):
            for place, fact in enumerate(record.facts):
                if len(fact.options) >= OPTIONS:
                    places.setdefault(fact.kind, []).append((number, place))
        if not places:
            return self._caption_questions(records, split, seed)
        kept = [keyed_sample(found, self.config.per_kind, seed, split, kind) for kind, found in places.items()]
        return tuple(self._fact_question(records[number], place, seed) for number, place in sorted(chain(*kept)))

    def pairs(self, dataset: Dataset, split: str, seed: int) -> Sequence[tuple[Question, Question]]:
        """Objects and their twins, each pair under one question with the same options; at most ``flips`` pairs."""
        records = dataset.records(split)
        found: dict[int, tuple[Question, Question]] = {}
        for number in map(int, keyed_generator("pairs", seed, split).permutation(len(records))):
            if len(found) == self.config.flips:
                break
            twin = dataset.twin(records[number])
            options = twin and draw_pair_options(twin.before, twin.after, seed, records[number].id, "pair")
            if twin and options:
                found[number] = (
                    self._question(records[number].id, "pair", twin.before, options),
                    self._question(twin.record.id, "pair", twin.after, options),
                )
        return tuple(found[number] for number in sorted(found))

    def score(self, question: Question, prediction: Prediction) -> Verdict:
        """1 for the right option, 0 for another; what is no option is invalid."""
        options = question.options or ()
        return Verdict(float(prediction.text == question.answer), valid=prediction.text in options)

    def chance(self, question: Question) -> float:
        """One of the options."""
        return 1 / len(question.options or (question.answer,))

    def _fact_question(self, record: Record, place: int, seed: int) -> Question:
        fact = record.facts[place]
        options = draw_options(fact, seed, record.id, fact.kind, fact.subject)
        return self._question(record.id, f"{place}-{fact.kind}", fact, options or fact.options)

    def _caption_questions(self, records: Sequence[Record], split: str, seed: int) -> tuple[Question, ...]:
        captioned = [(record.id, record.group, caption) for record in records if (caption := caption_round(record))]
        asked = []
        for record_id, group, caption in keyed_sample(captioned, self.config.per_kind, seed, split, "caption"):
            options = _other_captions(caption.answer, group, captioned, (seed, record_id))
            if options:
                fact = Fact("caption", "", caption.question, caption.answer, options)
                asked.append(self._question(record_id, "caption", fact, options))
        return tuple(asked)

    def _question(self, record_id: str, name: str, fact: Fact, options: tuple[str, ...]) -> Question:
        prompt, answer = with_options(fact.question, options), fact.answer
        if self.config.answer_style == "letter":
            letters = tuple(LETTERS[: len(options)])
            options, answer = letters, letters[options.index(answer)]
        return Question(f"{record_id}/{name}", record_id, prompt, options, answer, fact.kind)


def _other_captions(
    own: str, group: str, captioned: Sequence[tuple[str, str, Round]], key: tuple[int, str]
) -> tuple[str, ...] | None:
    """`own` and three captions of other groups that say something else, shuffled; None where there are too few."""
    stream = keyed_generator("captions", *key)
    options, said = [own], {words(own)}
    for number in stream.permutation(len(captioned)):
        _, other, caption = captioned[number]
        if other != group and words(caption.answer) not in said:
            options.append(caption.answer)
            said.add(words(caption.answer))
        if len(options) == OPTIONS:
            return tuple(options[i] for i in stream.permutation(OPTIONS))
    return None
