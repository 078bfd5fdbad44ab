"""Relevance questions as training examples, with the record's own cloud or another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from spa3d.contracts.dataset import Conversation, Record, Round
from spa3d.data.questions import append_options
from spa3d.data.relevance import REFUSAL, RelevanceIndex, ask, draw_relevance_options, list_facts
from spa3d.runtime.rng import keyed_generator
from spa3d.training.examples import TrainingExample

Item = TypeVar("Item")
TRIES = 100
"""Records that are drawn at most until one lacks what the question asks about."""
OWN = 0.5
"""Share of the relevance questions that are shown with the record's own cloud."""


def relevance_example(
    example: Callable[[Item, int], TrainingExample],
    records: Sequence[Record],
    record_of: Callable[[Item], Record],
    *,
    share: float,
    seed: int,
) -> Callable[[Item, int], TrainingExample]:
    """Make relevance questions of a keyed `share` of the samples.

    `example` makes those of the rest. Half of the questions are shown with their own cloud. The right answer is
    `REFUSAL` where another record's cloud is shown, and rejected is the answer that is true of the question's record;
    with its own cloud it is the other way around. Which of the two is drawn last, so the text does not tell. Records
    without a question that another record lacks always give their example.

    Args:
        example: makes the example of an item in an epoch.
        records: the training records, from which the others are drawn.
        record_of: returns the record of an item.
        share: probability that a sample becomes a relevance question.
        seed: seed of the draws, with epoch and record id.

    """
    index = RelevanceIndex(records)

    def draw(item: Item, epoch: int) -> TrainingExample:
        record = record_of(item)
        stream = keyed_generator("relevance", seed, epoch, record.id)
        question = _draw_question(index, record, epoch, stream) if stream.random() < share else None
        return question or example(item, epoch)

    return draw


def _draw_question(
    index: RelevanceIndex, record: Record, epoch: int, stream: np.random.Generator
) -> TrainingExample | None:
    """Draw a fact, a record that lacks it, and whether the cloud of that record is shown.

    None if there is no such record.
    """
    facts = list_facts(record)
    if not facts:
        return None
    fact = facts[int(stream.integers(len(facts)))]
    for number in stream.integers(len(index.records), size=TRIES):
        other = index.records[int(number)]
        key = (int(stream.integers(2**32)), record.id)
        options = draw_relevance_options(fact, other, *key) if index.lacks(other, record, fact) else None
        if options is not None:
            text = append_options(ask(record, fact), options)
            if stream.random() < OWN:
                return _make_example(record, Round(text, fact.answer), REFUSAL, epoch)
            return _make_example(other, Round(text, REFUSAL), fact.answer, epoch)
    return None


def _make_example(shown: Record, right: Round, wrong: str, epoch: int) -> TrainingExample:
    """Make the question with the cloud of `shown`, its right and a wrong answer."""
    chosen, rejected = (Conversation("relevance", (turn,)) for turn in (right, Round(right.question, wrong)))
    return TrainingExample(shown.id, epoch, chosen, rejected)
