"""Benchmark ``choice``: questions with four options; the most likely option is the answer.

The questions come from the records' facts. In a dataset without facts the options are captions: the object's own
caption and three captions of objects of other groups of the split.
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
    append_options,
    draw_options,
    draw_pair_options,
    keyed_sample,
)
from spa3d.metrics.text_matching import words
from spa3d.runtime.rng import keyed_generator


class Config(ComponentConfig):
    """Number of questions, and form of the answers."""

    per_kind: int = Field(400, ge=1, le=10**9)
    """Maximum number of questions per kind (category, color, ...) and split (a keyed sample), to balance kinds."""
    flips: int = Field(400, ge=0, le=10**9)
    """Maximum number of minimal pairs (an object and its twin) per split."""
    answer_style: Literal["text", "letter"] = "text"
    """Score the options' texts, or their letters; letters need an LLM trained to answer with letters."""


class Choice(Benchmark):
    """Multiple choice by likelihood; of equally likely options the first is the answer."""

    Config = Config
    requires = "facts with four or more options, or captions of objects of four groups"

    def questions(self, dataset: Dataset, split: str, seed: int) -> Sequence[Question]:
        """Make at most ``per_kind`` questions per kind.

        The options are drawn by (seed, record, kind, subject).
        """
        records = dataset.records(split)
        usable: dict[str, list[tuple[int, int]]] = {}  # kind -> (record number, fact index)
        for number, record in enumerate(records):
            for index, fact in enumerate(record.facts):
                if len(fact.options) >= OPTIONS:
                    usable.setdefault(fact.kind, []).append((number, index))
        if not usable:
            return self._caption_questions(records, split, seed)
        kept = [keyed_sample(facts, self.config.per_kind, seed, split, kind) for kind, facts in usable.items()]
        return tuple(self._fact_question(records[number], index, seed) for number, index in sorted(chain(*kept)))

    def pairs(self, dataset: Dataset, split: str, seed: int) -> Sequence[tuple[Question, Question]]:
        """Pair objects with their twins: one question, the same options; at most ``flips`` pairs."""
        records = dataset.records(split)
        pairs: dict[int, tuple[Question, Question]] = {}
        for number in map(int, keyed_generator("pairs", seed, split).permutation(len(records))):
            if len(pairs) == self.config.flips:
                break
            twin = dataset.twin(records[number])
            options = twin and draw_pair_options(twin.before, twin.after, seed, records[number].id, "pair")
            if twin and options:
                pairs[number] = (
                    self._question(records[number].id, "pair", twin.before, options),
                    self._question(twin.record.id, "pair", twin.after, options),
                )
        return tuple(pairs[number] for number in sorted(pairs))

    def score(self, question: Question, prediction: Prediction) -> Verdict:
        """1 for the right option, 0 for another; an answer that is no option is invalid."""
        options = question.options or ()
        return Verdict(float(prediction.text == question.answer), valid=prediction.text in options)

    def chance(self, question: Question) -> float:
        """Chance level: 1 / number of options."""
        return 1 / len(question.options or (question.answer,))

    def _fact_question(self, record: Record, index: int, seed: int) -> Question:
        fact = record.facts[index]
        options = draw_options(fact, seed, record.id, fact.kind, fact.subject)
        return self._question(record.id, f"{index}-{fact.kind}", fact, options or fact.options)

    def _caption_questions(self, records: Sequence[Record], split: str, seed: int) -> tuple[Question, ...]:
        captioned = [(record.id, record.group, caption) for record in records if (caption := record.caption_round)]
        questions = []
        for record_id, group, caption in keyed_sample(captioned, self.config.per_kind, seed, split, "caption"):
            options = _other_captions(caption.answer, group, captioned, (seed, record_id))
            if options:
                fact = Fact("caption", "", caption.question, caption.answer, options)
                questions.append(self._question(record_id, "caption", fact, options))
        return tuple(questions)

    def _question(self, record_id: str, name: str, fact: Fact, options: tuple[str, ...]) -> Question:
        prompt, answer = append_options(fact.question, options), fact.answer
        if self.config.answer_style == "letter":
            letters = tuple(LETTERS[: len(options)])
            options, answer = letters, letters[options.index(answer)]
        return Question(f"{record_id}/{name}", record_id, prompt, options, answer, fact.kind)


def _other_captions(
    own: str, group: str, captioned: Sequence[tuple[str, str, Round]], key: tuple[int, str]
) -> tuple[str, ...] | None:
    """Shuffle `own` and three different captions of other groups; None where there are too few."""
    stream = keyed_generator("captions", *key)
    options, used = [own], {words(own)}
    for number in stream.permutation(len(captioned)):
        _, other, caption = captioned[number]
        if other != group and words(caption.answer) not in used:
            options.append(caption.answer)
            used.add(words(caption.answer))
        if len(options) == OPTIONS:
            return tuple(options[i] for i in stream.permutation(OPTIONS))
    return None
