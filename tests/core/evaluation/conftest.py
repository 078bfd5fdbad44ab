"""A benchmark whose questions and verdicts can be spoiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from spa3d.contracts.benchmark import Benchmark, Prediction, Question, Verdict


class SideBenchmark(Benchmark):
    """Asks which side an object is on; `spoil` changes the first question."""

    spoil: Callable[[Question], Any] = staticmethod(lambda question: question)
    verdict: Any = None
    level: Any = 0.5

    def questions(self, dataset: Any, split: str, seed: int) -> Sequence[Question]:
        first, *others = [
            Question(f"{record.id}/side", record.id, "Which side?", ("left", "right"), str(record.category), "side")
            for record in dataset.records(split)
        ]
        return [self.spoil(first), *others]

    def score(self, question: Question, prediction: Prediction) -> Verdict:
        return Verdict(float(prediction.text == question.answer)) if self.verdict is None else self.verdict

    def chance(self, question: Question) -> float:
        return self.level


@pytest.fixture
def sides() -> SideBenchmark:
    return SideBenchmark()
