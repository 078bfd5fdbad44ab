"""Texts of a data set: captions that recur, empty and huge ones, answers that need no cloud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from spa3d.contracts.dataset import Record
from spa3d.metrics.text_floor import AnswerTable

LONG = 4000
"""Most characters of a text that is not listed."""
EXAMPLES = 20
"""Records that are listed by name."""
RECURRING = 5
"""Fewest test answers to a question whose prior is listed."""


@dataclass
class TextFacts:
    """Texts of one split, collected record by record.

    Attributes:
        records: number of records.
        with_text: records with a conversation.
        conversations, rounds: their numbers.
        without_cloud: text-only conversations.
        captions: frequency of each caption.
        words: number of words of each caption.
        empty, long: names of records with an empty text, and with one of more than `LONG` characters.

    """

    records: int = 0
    with_text: int = 0
    conversations: int = 0
    rounds: int = 0
    without_cloud: int = 0
    captions: Counter[str] = field(default_factory=Counter)
    words: Counter[int] = field(default_factory=Counter)
    empty: list[str] = field(default_factory=list)
    long: list[str] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Add the texts of a record."""
        self.records += 1
        self.with_text += bool(record.conversations)
        self.conversations += len(record.conversations)
        self.without_cloud += sum(not each.has_cloud for each in record.conversations)
        texts = [text for each in record.conversations for turn in each.rounds for text in (turn.question, turn.answer)]
        self.rounds += len(texts) // 2
        if any(not text.strip() for text in texts) or (record.caption is not None and not record.caption.strip()):
            self.empty.append(record.id)
        if any(len(text) > LONG for text in texts):
            self.long.append(record.id)
        if record.caption is not None:
            self.captions[" ".join(record.caption.split())] += 1
            self.words[len(record.caption.split())] += 1

    @property
    def median_words(self) -> int:
        """Median number of words of a caption; 0 without captions."""
        ordered = sorted(self.words.elements())
        return ordered[len(ordered) // 2] if ordered else 0

    def to_json(self) -> dict[str, Any]:
        """Values for a JSON report."""
        return {
            "records": self.records,
            "with_text": self.with_text,
            "conversations": self.conversations,
            "rounds": self.rounds,
            "text_only_conversations": self.without_cloud,
            "captions": self.captions.total(),
            "different_captions": len(self.captions),
            "caption_words_median": self.median_words,
            "most_common_captions": [{"text": text, "records": count} for text, count in self.captions.most_common(10)],
            "empty_texts": len(self.empty),
            "long_texts": len(self.long),
        }


@dataclass(frozen=True)
class QuestionPrior:
    """Answers to one question of the test split, guessed from the training text.

    Attributes:
        question: the question.
        answers: number of test answers to it.
        guess: the most common training answer to it.
        share: share of the test answers that equal the guess.

    """

    question: str
    answers: int
    guess: str
    share: float


def measure_priors(train: Iterable[Record], test: Iterable[Record]) -> list[QuestionPrior]:
    """Measure how often the most common training answer to a question is its test answer.

    Questions that recur at least `RECURRING` times in the test split are listed, the most frequent ones first.
    """
    table = AnswerTable((turn.question, turn.answer) for turn in _iterate_rounds(train))
    counts, hits = Counter[str](), Counter[str]()
    first: dict[str, str] = {}
    for turn in _iterate_rounds(test):
        name = " ".join(turn.question.lower().split())
        guess = table.usual_answer(first.setdefault(name, turn.question))
        counts[name] += 1
        hits[name] += " ".join(guess.lower().split()) == " ".join(turn.answer.lower().split())
    return [
        QuestionPrior(first[name], count, table.usual_answer(first[name]), hits[name] / count)
        for name, count in counts.most_common()
        if count >= RECURRING
    ]


def _iterate_rounds(records: Iterable[Record]) -> Iterable[Any]:
    return (turn for record in records for each in record.conversations for turn in each.rounds)
