"""Questions of a benchmark: reported split, counterfactual split, and minimal pairs."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TypeVar

from spa3d.contracts.benchmark import Benchmark, Question, check_questions
from spa3d.contracts.dataset import Dataset, Record
from spa3d.data.questions import keyed_sample, split_rotation
from spa3d.errors import PluginError

Item = TypeVar("Item")
FactValues = frozenset[tuple[str, str, str]]
"""Kind, subject and answer of every fact of a record."""


@dataclass(frozen=True)
class EvaluationItem:
    """Question of an evaluation, with its group and subset.

    Attributes:
        question: the question.
        group: the group of look-alikes of its record, the unit of intervals.
        subset: the set it belongs to: ``test``, ``counterfactual`` or ``flip``.
        pair_id: the minimal pair it belongs to; None outside of ``flip``.
        unseen: whether no training object has all the facts of its object; false if that has no facts.

    """

    question: Question
    group: str
    subset: str
    pair_id: str | None = None
    unseen: bool = False


def collect_questions(
    benchmark: Benchmark,
    dataset: Dataset,
    *,
    split: str,
    seed: int,
    limit: int,
    is_unseen: Callable[[str], bool] | None = None,
) -> list[EvaluationItem]:
    """Collect the questions of a benchmark: reported split, counterfactual split, minimal pairs.

    Args:
        benchmark: source of the questions.
        dataset: the records that the questions are about.
        split: name of the reported split; the minimal pairs come from it too.
        seed: seed of the questions and of the sample.
        limit: largest number of questions (or pairs) per subset, drawn as a keyed sample; 0 keeps all. All rotations
            of a question count as one.
        is_unseen: tells by id whether a record is unseen, from `make_unseen_test`; None: none is.

    Raises:
        PluginError: the questions break the contract of a benchmark.

    """
    most = limit or sys.maxsize

    def take(items: Sequence[Item], name: str) -> list[Item]:
        return keyed_sample(items, most, "limit", seed, name)

    @cache
    def group_of(record_id: str) -> str:
        return dataset.record(record_id).group

    def make_item(question: Question, subset: str, pair_id: str | None = None) -> EvaluationItem:
        unseen = subset == "test" and is_unseen is not None and is_unseen(question.record_id)
        return EvaluationItem(question, group_of(question.record_id), subset, pair_id, unseen)

    def questions(of: str) -> list[Question]:
        drawn = benchmark.questions(dataset, of, seed)
        check_questions(benchmark, drawn)
        return [*chain(*take(_group_rotations(drawn), of))]

    items = [make_item(question, "test") for question in questions(split)]
    if "counterfactual" in dataset.splits and split != "counterfactual":
        items += [make_item(question, "counterfactual") for question in questions("counterfactual")]
    for before, after in take(_pairs(benchmark, dataset, split, seed), "flip"):
        items += [make_item(before, "flip", before.id), make_item(after, "flip", before.id)]
    return items


def _group_rotations(questions: Sequence[Question]) -> list[list[Question]]:
    """Group the rotations of each question, which stay together in a sample."""
    groups = defaultdict[str, list[Question]](list)
    for question in questions:
        groups[split_rotation(question.id)[0]].append(question)
    return [*groups.values()]


def make_unseen_test(dataset: Dataset) -> Callable[[str], bool]:
    """Make a function that tells by id whether no training record has all the facts of a record.

    Records without facts are never unseen. The training records are read at the first question.
    """

    @cache
    def training_facts() -> set[FactValues]:
        return {_fact_values(record) for record in dataset.records("train")}

    @cache
    def is_unseen(record_id: str) -> bool:
        values = _fact_values(dataset.record(record_id))
        return bool(values) and values not in training_facts()

    return is_unseen


def _fact_values(record: Record) -> FactValues:
    return frozenset((fact.kind, fact.subject, fact.answer) for fact in record.facts)


def _pairs(benchmark: Benchmark, dataset: Dataset, split: str, seed: int) -> Sequence[tuple[Question, Question]]:
    """The checked minimal pairs of a benchmark."""
    pairs = benchmark.pairs(dataset, split, seed)
    if not isinstance(pairs, Sequence) or not all(isinstance(pair, Sequence) and len(pair) == 2 for pair in pairs):
        raise PluginError.by(benchmark, f"pairs: expected a sequence of pairs of spa3d.Question, got {pairs!r:.200}")
    check_questions(benchmark, [question for pair in pairs for question in pair])
    return pairs
