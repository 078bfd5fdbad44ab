"""The questions of a benchmark: the split's, the counterfactual split's, and minimal pairs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from spa3d.contracts.benchmark import Benchmark, Question
from spa3d.contracts.dataset import Dataset
from spa3d.data.questions import keyed_sample

Item = TypeVar("Item")


@dataclass(frozen=True)
class EvaluationItem:
    """A question that is asked.

    Attributes:
        question: the question.
        subset: the set it belongs to: ``test``, ``counterfactual`` or ``flip``.
        pair_id: the minimal pair it belongs to; None outside of ``flip``.

    """

    question: Question
    subset: str
    pair_id: str | None = None


def collect_questions(
    benchmark: Benchmark, dataset: Dataset, *, split: str, seed: int, limit: int
) -> list[EvaluationItem]:
    """All questions of a benchmark: the split's, the counterfactual split's, and minimal pairs of the split.

    Args:
        benchmark: asks them.
        dataset: the records they are about.
        split: the split that is reported.
        seed: seed of the questions and of the sample.
        limit: at most so many questions (or pairs) per subset, a keyed sample; 0: all.

    """
    most = limit or sys.maxsize

    def some(items: Sequence[Item], name: str) -> list[Item]:
        return keyed_sample(items, most, "limit", seed, name)

    found = [EvaluationItem(question, "test") for question in some(benchmark.questions(dataset, split, seed), split)]
    if "counterfactual" in dataset.splits and split != "counterfactual":
        broken = some(benchmark.questions(dataset, "counterfactual", seed), "counterfactual")
        found += [EvaluationItem(question, "counterfactual") for question in broken]
    for before, after in some(benchmark.pairs(dataset, split, seed), "flip"):
        found += [EvaluationItem(before, "flip", before.id), EvaluationItem(after, "flip", before.id)]
    return found
