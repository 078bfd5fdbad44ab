"""Questions of a benchmark: reported split, counterfactual split, and minimal pairs."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from spa3d.contracts.benchmark import Benchmark, Question, check_questions
from spa3d.contracts.dataset import Dataset, Record
from spa3d.data.questions import keyed_sample, split_rotation
from spa3d.errors import PluginError

Unit = tuple[Question, ...]
"""A question that counts alone, or the two of a pair."""
FactValues = frozenset[tuple[str, str, str]]
"""Kind, subject and answer of every fact of a record."""


@dataclass(frozen=True)
class EvaluationItem:
    """Question of an evaluation, with its group and subset.

    Attributes:
        question: the question.
        group: the group of look-alikes of its record, the unit of intervals; groups that share a pair are one.
        subset: the set it belongs to: ``test``, ``counterfactual`` or ``flip``.
        pair_id: the pair it belongs to; None if it counts alone.
        unseen: whether no training object has all the facts of its object; false if that has no facts, and in a pair
            whether that is so for both objects.

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

    def is_unseen_unit(unit: Unit) -> bool:
        return is_unseen is not None and all(is_unseen(question.record_id) for question in unit)

    def make_items(units: Sequence[Unit], subset: str) -> list[EvaluationItem]:
        bundles = keyed_sample(_bundle_rotations(units), most, "limit", seed, {"test": split}.get(subset, subset))
        kept = [*chain(*bundles)]
        groups = _link_groups(dataset, kept)
        return [
            EvaluationItem(
                question,
                groups[question.record_id],
                subset,
                (question.pair or unit[0].id) if len(unit) > 1 else None,
                subset == "test" and is_unseen_unit(unit),
            )
            for unit in kept
            for question in unit
        ]

    items = make_items(_units(benchmark, dataset, split, seed), "test")
    if "counterfactual" in dataset.splits and split != "counterfactual":
        items += make_items(_units(benchmark, dataset, "counterfactual", seed), "counterfactual")
    return items + make_items(_twin_pairs(benchmark, dataset, split, seed), "flip")


def _bundle_rotations(units: Sequence[Unit]) -> list[list[Unit]]:
    """Bundle the rotations of each question, which stay together in a sample."""
    bundles = defaultdict[str, list[Unit]](list)
    for unit in units:
        bundles[split_rotation(unit[0].id)[0]].append(unit)
    return [*bundles.values()]


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


def _units(benchmark: Benchmark, dataset: Dataset, split: str, seed: int) -> list[Unit]:
    """The checked questions of a split, each alone or with the other one of its pair."""
    drawn = benchmark.questions(dataset, split, seed)
    check_questions(benchmark, drawn)
    units: dict[tuple[str, str], list[Question]] = {}
    for question in drawn:
        units.setdefault(("pair", question.pair) if question.pair else ("question", question.id), []).append(question)
    return [tuple(unit) for unit in units.values()]


def _twin_pairs(benchmark: Benchmark, dataset: Dataset, split: str, seed: int) -> list[Unit]:
    """The checked minimal pairs of a benchmark."""
    pairs = benchmark.pairs(dataset, split, seed)
    if not isinstance(pairs, Sequence) or not all(isinstance(pair, Sequence) and len(pair) == 2 for pair in pairs):
        raise PluginError.by(benchmark, f"pairs: expected a sequence of pairs of spa3d.Question, got {pairs!r:.200}")
    check_questions(benchmark, [question for pair in pairs for question in pair])
    return [tuple(pair) for pair in pairs]


def _link_groups(dataset: Dataset, units: Sequence[Unit]) -> dict[str, str]:
    """Group of each record by id; groups that share a pair get the first of their names.

    Answers about one cloud would otherwise be in two clusters, which are not independent.
    """
    ids = dict.fromkeys(question.record_id for unit in units for question in unit)
    own = {record_id: dataset.record(record_id).group for record_id in ids}
    first = {group: group for group in own.values()}

    def find(group: str) -> str:
        while first[group] != group:
            group = first[group]
        return group

    for unit in units:
        roots = sorted({find(own[question.record_id]) for question in unit})
        for root in roots[1:]:
            first[root] = roots[0]
    return {record_id: find(group) for record_id, group in own.items()}
