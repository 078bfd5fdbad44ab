"""Benchmark: questions about records, and the scoring of answers. It never runs the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import Dataset, Fact


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


@dataclass(frozen=True)
class Verdict:
    """Score of an answer: ``value`` in [0, 1]; an unreadable answer is not ``valid`` and gets 0."""

    value: float
    valid: bool = True


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

    @abstractmethod
    def chance(self, question: Question) -> float:
        """Expected value of a uniformly random answer."""

    def pairs(self, dataset: Dataset, split: str, seed: int) -> Sequence[tuple[Question, Question]]:
        """Minimal pairs for the flip score: the same question about an object and its twin.

        A text-only model gets at most one of the two right.
        """
        return ()
