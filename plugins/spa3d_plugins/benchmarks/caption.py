"""Benchmark ``caption``: share of the reference's facts that a generated caption states.

Only facts of the record that the reference states count (`spa3d.metrics.text_matching.asserts_fact`). A color or a
count must be next to the name of its part. Wrong additions do not lower the value: the share of stated facts that are
false stands beside it, as the measure ``false_facts``. Where the reference states no fact, the value is the word F1 of
both captions.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from spa3d.contracts.benchmark import Benchmark, Prediction, Question, Verdict
from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import Dataset, Fact, Record, Round
from spa3d.data.questions import keyed_sample
from spa3d.metrics.text_matching import asserts_fact, stated_answers, token_f1, words

FALSE_FACTS = "false_facts"
"""Name of the share of stated facts that are false."""


class Config(ComponentConfig):
    """Number of captions."""

    limit: int = Field(400, ge=1, le=10**9)
    """Maximum number of captions per split (a keyed sample)."""


class Caption(Benchmark):
    """Captioning with each record's own caption question; records without a caption are skipped."""

    Config = Config
    requires = "captions, which are conversations of the kind simple_description about a cloud"

    def questions(self, dataset: Dataset, split: str, seed: int) -> Sequence[Question]:
        """Make one question per captioned record, with the facts that its reference states."""
        records = dataset.records(split)
        captioned = [(number, caption) for number, record in enumerate(records) if (caption := record.caption_round)]
        kept = keyed_sample(captioned, self.config.limit, seed, split, "caption")
        return tuple(_question(records[number], caption) for number, caption in kept)

    def score(self, question: Question, prediction: Prediction) -> Verdict:
        """Share of the question's facts that the caption states, or F1 with the reference.

        An answer without a word is invalid.
        """
        text = prediction.text
        if not words(text):
            return Verdict(0.0, valid=False)
        if not question.facts:
            return Verdict(token_f1(text, question.answer))
        subjects = {fact.subject for fact in question.facts}
        stated = [(fact.answer, stated_answers(text, fact, subjects)) for fact in question.facts]
        right = sum(answer in answers for answer, answers in stated)
        total = sum(len(answers) for _, answers in stated)
        measures = {FALSE_FACTS: (total - right) / total} if total else {}
        return Verdict(right / len(question.facts), measures=measures)

    def chance(self, question: Question) -> float:
        """Chance level: 0."""
        return 0.0


def _question(record: Record, caption: Round) -> Question:
    return Question(
        id=f"{record.id}/caption",
        record_id=record.id,
        prompt=caption.question,
        options=None,
        answer=caption.answer,
        kind="caption",
        facts=_select_stated(caption.answer, record.facts),
    )


def _select_stated(text: str, facts: Sequence[Fact]) -> tuple[Fact, ...]:
    subjects = {fact.subject for fact in facts}
    return tuple(fact for fact in facts if asserts_fact(text, fact, subjects))
