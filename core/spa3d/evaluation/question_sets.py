"""The questions of a benchmark: the split's, the counterfactual split's, and minimal pairs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TypeVar

from spa3d.contracts.benchmark import Benchmark, Question
from spa3d.contracts.dataset import Dataset
from spa3d.data.questions import keyed_sample

Item = TypeVar("Item")


Asked = list[tuple[Question, str, str | None]]
"""(question, set it belongs to, pair id)"""


def asked(benchmark: Benchmark, dataset: Dataset, *, split: str, seed: int, limit: int) -> Asked:
    """All questions of a benchmark: the split's, the counterfactual split's, and minimal pairs of the split."""
    most = limit or sys.maxsize

    def some(items: Sequence[Item], name: str) -> list[Item]:
        return keyed_sample(items, most, "limit", seed, name)

    found: Asked = [(question, "test", None) for question in some(benchmark.questions(dataset, split, seed), split)]
    if "counterfactual" in dataset.splits and split != "counterfactual":
        broken = some(benchmark.questions(dataset, "counterfactual", seed), "counterfactual")
        found += [(question, "counterfactual", None) for question in broken]
    for before, after in some(benchmark.pairs(dataset, split, seed), "flip"):
        found += [(before, "flip", before.id), (after, "flip", before.id)]
    return found
