"""Answers that the training text alone gives: the most frequent ones to the same question.

A table of these answers has seen neither a cloud nor a model. A score that it reaches says nothing about the encoder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from spa3d.metrics.text_matching import mentions

TEXT_TABLE = "text-table"
"""Name of the table among the views of a question."""
TRAINED_BLIND = "trained-blind"
"""Name among these views of a model that was trained without clouds."""
FREQUENT = 1000
"""Answers of a question that count for its options: the most frequent ones."""


class AnswerTable:
    """Frequencies of the training answers to each question.

    Questions are compared without case and spacing. A question that the training text does not contain gets the
    answers to all questions.

    Args:
        rounds: questions, without options, and their answers.

    """

    def __init__(self, rounds: Iterable[tuple[str, str]]) -> None:
        self._answers: dict[str, Counter[str]] = {}
        self._all: Counter[str] = Counter()
        for question, answer in rounds:
            self._answers.setdefault(_normalize(question), Counter())[answer] += 1
            self._all[answer] += 1
        self._share = lru_cache(maxsize=None)(self._count_mentions)

    def __len__(self) -> int:
        return len(self._answers)

    def usual_answer(self, question: str) -> str:
        """The most frequent answer, of equally frequent ones the first; empty without any."""
        return max(self._find(question).items(), key=lambda entry: entry[1], default=("", 0))[0]

    def usual_option(self, question: str, options: Sequence[str]) -> int:
        """Index of the option that most answers contain; of equally frequent ones the first."""
        counts = [self._share(_normalize(question), option) for option in options]
        return counts.index(max(counts))

    def _find(self, question: str) -> Counter[str]:
        return self._answers.get(_normalize(question), self._all)

    def _count_mentions(self, question: str, option: str) -> int:
        frequent = self._find(question).most_common(FREQUENT)
        return sum(count for answer, count in frequent if mentions(answer, option))


def _normalize(question: str) -> str:
    return " ".join(question.lower().split())
