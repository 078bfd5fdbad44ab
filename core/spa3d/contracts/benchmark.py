"""Benchmark: questions about records, and the scoring of answers. It never runs the model."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeGuard

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import Dataset, Fact
from spa3d.errors import PluginError


@dataclass(frozen=True)
class Question:
    """One thing to ask.

    Attributes:
        id: unique in the benchmark and stable between runs.
        record_id: the record with the shown cloud.
        prompt: text of the question, with options if they are shown.
        options: candidate answers, scored by likelihood; None: free generation.
        answer: the reference.
        kind: row in the table per kind.
        facts: the facts that the verdict is about, if the reference text is not enough (a free answer is judged
            against the fact's closed set of options); never shown to the model.

    """

    id: str
    record_id: str
    prompt: str
    options: tuple[str, ...] | None
    answer: str
    kind: str
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """Answer of the model to a question.

    Attributes:
        text: the generated text, or the option with the highest likelihood.
        option_logp: sum of the answer tokens' log p (end token included) per option, in nats.
        option_lengths: number of answer tokens per option.

    """

    text: str
    option_logp: tuple[float, ...] = ()
    option_lengths: tuple[int, ...] = ()


Measures = Mapping[str, float]
"""Further figures of an answer by name."""


@dataclass(frozen=True)
class Verdict:
    """Score of an answer: ``value`` in [0, 1]; an unreadable answer is not ``valid`` and gets 0.

    ``measures`` are further figures by name, finite numbers. Reports show their mean over the answers that have them,
    times 100; most are shares in [0, 1].
    """

    value: float
    valid: bool = True
    measures: Measures = field(default_factory=dict)


class Benchmark(ABC):
    """A set of questions and the rule that scores an answer."""

    Config: ClassVar[type[ComponentConfig]] = ComponentConfig

    def __init__(self, **values: Any) -> None:
        self.config: Any = self.Config(**values)

    @abstractmethod
    def questions(self, dataset: Dataset, split: str, seed: int) -> Sequence[Question]:
        """Questions of `split`, a pure function of the arguments; empty if the data have none."""

    @abstractmethod
    def score(self, question: Question, prediction: Prediction) -> Verdict:
        """Judge one answer."""

    def measure_set(self, questions: Sequence[Question], predictions: Sequence[Prediction]) -> Sequence[Measures]:
        """Measure the answers to a whole set of questions; returns one mapping per answer.

        They are added to `Verdict.measures`. This is the place for figures that need the other answers or references
        of the set, such as CIDEr-D, and for those that are faster in batches. A set is the answers of one model under
        one view; a thought that does not end is an empty answer.
        """
        return [{}] * len(questions)

    @abstractmethod
    def chance(self, question: Question) -> float:
        """Expected value of a uniformly random answer."""

    def pairs(self, dataset: Dataset, split: str, seed: int) -> Sequence[tuple[Question, Question]]:
        """Minimal pairs for the flip score: the same question about an object and its twin.

        A text-only model gets at most one of the two right.
        """
        return ()


def check_questions(benchmark: Benchmark, questions: object) -> None:
    """Check the questions of one set.

    Raises:
        PluginError: they break the contract; the message names the benchmark and the question.

    """
    if not isinstance(questions, Sequence) or not all(isinstance(question, Question) for question in questions):
        raise PluginError.by(benchmark, f"expected a sequence of spa3d.Question, got {questions!r:.200}")
    known: set[str] = set()
    for question in questions:
        wrong = _question_misfit(question) or ("another question has this id too" if question.id in known else "")
        if wrong:
            raise PluginError.by(benchmark, f"question {question.id!r}: {wrong}")
        known.add(question.id)
        chance = benchmark.chance(question)
        if not _is_share(chance):
            raise PluginError.by(benchmark, f"question {question.id!r}: its chance is {chance!r}; it must lie in 0..1")


def score_prediction(benchmark: Benchmark, question: Question, prediction: Prediction) -> Verdict:
    """Judge a prediction.

    Raises:
        PluginError: the verdict breaks the contract; the message names the benchmark and the question.

    """
    verdict: object = benchmark.score(question, prediction)
    if not isinstance(verdict, Verdict) or not _is_share(verdict.value) or not isinstance(verdict.valid, bool):
        raise PluginError.by(
            benchmark,
            f"question {question.id!r}: its verdict is {verdict!r}; expected a spa3d.Verdict with a value in 0..1",
        )
    _check_measures(benchmark, question, verdict.measures)
    return verdict


def measure_predictions(
    benchmark: Benchmark, questions: Sequence[Question], predictions: Sequence[Prediction]
) -> Sequence[Measures]:
    """Measure the answers to a whole set.

    Raises:
        PluginError: the measures break the contract; the message names the benchmark.

    """
    measured: object = benchmark.measure_set(questions, predictions)
    if not isinstance(measured, Sequence) or len(measured) != len(questions):
        raise PluginError.by(benchmark, f"measure_set: expected {len(questions)} mappings, got {measured!r:.200}")
    for question, measures in zip(questions, measured, strict=True):
        _check_measures(benchmark, question, measures)
    return measured


def _check_measures(benchmark: Benchmark, question: Question, measures: object) -> None:
    if not isinstance(measures, Mapping) or not all(
        isinstance(name, str) and _is_number(value) for name, value in measures.items()
    ):
        raise PluginError.by(
            benchmark, f"question {question.id!r}: its measures are {measures!r:.200}; expected finite numbers by name"
        )


def _question_misfit(question: Question) -> str:
    texts = {name: getattr(question, name) for name in ("id", "record_id", "prompt", "answer", "kind")}
    wrong = [f"{name} is {value!r} and no text" for name, value in texts.items() if not isinstance(value, str)]
    options = question.options
    if wrong or options is None:
        return "; ".join(wrong)
    if not isinstance(options, list | tuple) or not all(isinstance(option, str) for option in options):
        return f"its options are {options!r} and no texts; None lets the model answer freely"
    if not options:
        return "it has no options; None lets the model answer freely"
    if len(set(options)) < len(options):
        return f"two of its options are the same: {', '.join(map(repr, options))}"
    if question.answer not in options:
        return f"its answer {question.answer!r} is not among its options {', '.join(map(repr, options))}"
    return ""


def _is_share(value: object) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
