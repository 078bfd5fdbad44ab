"""Questions about the facts of objects whose clouds are files, and rounds drawn of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import CAPTION, Conversation, Fact, Record, Round
from spa3d.data.questions import append_options, draw_options
from spa3d.metrics.text_matching import mentions
from spa3d.runtime.rng import keyed_generator

ROUNDS = 3
"""Rounds of a newly drawn conversation."""
QUESTIONS = {
    # These data ask for the caption with "What is this?"; the same question must not have a second answer.
    "category": "What kind of object is this?",
    "color": "What is its main color?",
    "shape": "What is its overall shape?",
}


class FreshRounds(ComponentConfig):
    """How rounds are newly drawn in each epoch."""

    fresh: bool = True
    """Draw new rounds in each epoch from facts and annotated rounds, for objects that have facts."""
    choice_share: float = Field(0.4, ge=0, le=1)
    """Share of newly drawn rounds that offer four options, if the fact has options."""


def choose_values(counts: Mapping[str, Counter[str]], *, min_category: int) -> dict[str, tuple[str, ...]]:
    """Choose the values used as options, by kind of fact.

    Args:
        counts: number of training objects by kind and value.
        min_category: objects that a category needs.

    """
    least = {"category": min_category}
    return {
        kind: tuple(sorted(value for value, count in values.items() if count >= least.get(kind, 1)))
        for kind, values in counts.items()
    }


def make_fact(kind: str, answer: str, values: tuple[str, ...]) -> Fact:
    """Make a fact; a value that is none of the options `values` becomes the only option."""
    return Fact(kind, "", QUESTIONS[kind], answer, values if answer in values else (answer,))


def draw_conversations(record: Record, seed: int, epoch: int, settings: FreshRounds) -> tuple[Conversation, ...]:
    """Draw the conversations of an epoch.

    An object with facts has its captions and new rounds; other objects and twins have the fixed conversations.
    """
    if not (settings.fresh and record.facts) or record.id != record.object_id:
        return record.conversations
    captions = (conversation for conversation in record.conversations if conversation.kind == CAPTION)
    return (*captions, _draw_rounds(record, seed, epoch, settings.choice_share))


def _draw_rounds(record: Record, seed: int, epoch: int, choice_share: float) -> Conversation:
    """Mix annotated rounds and questions on facts; skip facts that an earlier answer mentions."""
    stream = keyed_generator(seed, epoch, record.id, "questions")
    annotated = {turn.question: turn for whole in record.conversations for turn in whole.rounds if whole.has_cloud}
    facts, rounds = {fact.question: fact for fact in record.facts}, list[Round]()
    for number in range(ROUNDS):
        with_four = stream.random() < choice_share
        options = {
            question: drawn
            for question, fact in facts.items()
            if with_four and (drawn := draw_options(fact, seed, epoch, record.id, fact.kind, number))
        }
        pool = list(options) or [*facts, *annotated]
        if not pool:
            break
        question = pool[stream.integers(len(pool))]
        if question in facts:
            text = append_options(question, options.get(question, ()))
            rounds.append(Round(text, facts.pop(question).answer))
        else:
            rounds.append(annotated.pop(question))
        facts = {key: fact for key, fact in facts.items() if not mentions(rounds[-1].answer, fact.answer)}
    return Conversation("multi_round", tuple(rounds))
