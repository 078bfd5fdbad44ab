"""Hygiene of multiple-choice questions: what a set gives away before any model has seen it.

The baselines know nothing of the clouds. A set on which one of them beats chance rewards something else than looking.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from spa3d.metrics.text_matching import words


@dataclass(frozen=True)
class ShownQuestion:
    """A question as it is shown.

    Attributes:
        record: id of its record.
        kind: its category.
        question: without options.
        options: in their order.
        answer: place of the right option.

    """

    record: str
    kind: str
    question: str
    options: tuple[str, ...]
    answer: int

    @property
    def content(self) -> tuple[object, ...]:
        """Question and options without their order."""
        return (words(self.question), frozenset(self.options))


@dataclass(frozen=True)
class OptionHygiene:
    """Figures of a set of questions; shares in [0, 1].

    Attributes:
        questions: their number.
        chance: score of a random pick.
        letters: share of right answers by letter.
        longest: score of always picking the longest option; of equally long ones at random.
        most_frequent: score of picking the option that is most often right in the other questions of the kind.
        duplicates: questions that repeat an earlier one about the same record with the same options.
        repeated: questions that repeat an earlier one about another record with the same options.

    """

    questions: int
    chance: float
    letters: dict[str, float]
    longest: float
    most_frequent: float
    duplicates: int
    repeated: int


def measure_options(questions: Sequence[ShownQuestion]) -> OptionHygiene:
    """Measure a set that is not empty."""
    count, most = len(questions), max(len(each.options) for each in questions)
    own, contents = set[object](), set[object]()
    duplicates = repeated = 0
    for each in questions:
        duplicates += (each.record, each.content) in own
        repeated += each.content in contents and (each.record, each.content) not in own
        own.add((each.record, each.content))
        contents.add(each.content)
    return OptionHygiene(
        questions=count,
        chance=sum(1 / len(each.options) for each in questions) / count,
        letters=letter_shares((ascii_uppercase[each.answer] for each in questions), most),
        longest=sum(_score_picks(each, [len(option) for option in each.options]) for each in questions) / count,
        most_frequent=score_most_frequent(questions),
        duplicates=duplicates,
        repeated=repeated,
    )


def letter_shares(letters: Iterable[str], count: int) -> dict[str, float]:
    """Share of each of the first `count` letters among `letters`; all 0 if there are none."""
    counts = Counter(letters)
    total = max(1, counts.total())
    return {letter: counts[letter] / total for letter in ascii_uppercase[:count]}


def score_most_frequent(questions: Sequence[ShownQuestion]) -> float:
    """Score of picking the option that is most often right in other questions of its kind."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for each in questions:
        answers[each.kind][each.options[each.answer]] += 1
    total = 0.0
    for each in questions:
        right = each.options[each.answer]
        total += _score_picks(each, [answers[each.kind][option] - (option == right) for option in each.options])
    return total / len(questions)


def _score_picks(question: ShownQuestion, values: Sequence[int]) -> float:
    """Score of picking an option of the largest value, at random among several."""
    best = max(values)
    return (values[question.answer] == best) / values.count(best)
