"""Blocks of records that exchange their clouds, for the benchmark ``relevance``.

Two records of a couple share a question with another answer; two couples of a block have questions that the other one
lacks. Each cloud is shown as the wrong one as often as the right one, so that no property of a cloud alone tells
them apart. The blocks share no record, so they are independent clusters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from spa3d.contracts.dataset import Fact, Record
from spa3d.data.questions import draw_pair_options
from spa3d.data.relevance import (
    REFUSAL,
    RelevanceIndex,
    ask,
    draw_relevance_options,
    has_another_answer,
    list_facts,
)
from spa3d.runtime.rng import keyed_generator

Kind = Literal["easy", "hard"]
"""Whether the other record lacks what is asked about, or has it with another answer."""


@dataclass(frozen=True)
class Exchange:
    """One question about a record, and another record whose cloud is shown as well.

    Attributes:
        kind: ``easy`` or ``hard``.
        record: the record that the question is about.
        other: the other record.
        fact: the fact of `record`.
        options: the offered answers, `REFUSAL` last.
        other_answer: the right answer for the cloud of `other`.

    """

    kind: Kind
    record: Record
    other: Record
    fact: Fact
    options: tuple[str, ...]
    other_answer: str


class Blocks:
    """Blocks of the records of a split: couples for hard exchanges, joined for easy ones.

    Args:
        records: the records of the split; one record of each group is used.
        limit: most records.
        key: key of the order, the facts and the options.

    """

    def __init__(self, records: Sequence[Record], *, limit: int, key: tuple[str | int, ...]) -> None:
        self.index, self.key = RelevanceIndex(records), key
        groups: dict[str, Record] = {}
        for number in map(int, keyed_generator("relevance", *key).permutation(len(records))):
            if list_facts(records[number]):
                groups.setdefault(records[number].group, records[number])
        self.records = list(groups.values())[:limit]

    def couple(self) -> Iterator[list[Exchange]]:
        """Exchanges of each couple of records that share a question with another answer.

        The two exchanges of a couple ask different questions; a couple may have one.
        """
        open_records = {record.id: record for record in self.records}
        by_question: dict[str, list[Record]] = {}
        for record in self.records:
            for fact in list_facts(record):
                by_question.setdefault(ask(record, fact), []).append(record)
        for record in self.records:
            if record.id not in open_records:
                continue
            del open_records[record.id]
            candidates = (other for fact in self._facts(record) for other in by_question[ask(record, fact)])
            for other in candidates:
                exchanges = self._hard(record, other) if other.id in open_records else []
                if exchanges:
                    del open_records[other.id]
                    yield exchanges
                    break

    def join(self, couples: Sequence[tuple[Record, ...]]) -> Iterator[list[Exchange]]:
        """Easy exchanges between two couples, or between two single records.

        Those without a partner are left out.
        """
        remaining = list(couples)
        while remaining:
            couple = remaining.pop(0)
            for number, other in enumerate(remaining):
                exchanges = self._easy(couple, other)
                if exchanges:
                    del remaining[number]
                    yield exchanges
                    break

    def _facts(self, record: Record) -> list[Fact]:
        """Facts of a record in a keyed order."""
        facts = list_facts(record)
        return [facts[i] for i in keyed_generator("facts", *self.key, record.id).permutation(len(facts))]

    def _hard(self, record: Record, other: Record) -> list[Exchange]:
        """One exchange for each of two records, as far as they share questions."""
        exchanges: list[Exchange] = []
        theirs = {ask(other, fact): fact for fact in list_facts(other)}
        shared = [(fact, theirs[question]) for fact in self._facts(record) if (question := ask(record, fact)) in theirs]
        for mine, their in shared:
            sides = (record, other, mine, their) if not exchanges else (other, record, their, mine)
            options = draw_pair_options(*sides[2:], *self.key, sides[0].id, "hard")
            if options and has_another_answer(mine, their) and len(exchanges) < 2:
                shown, another, fact, answer = sides
                exchanges.append(Exchange("hard", shown, another, fact, (*options, REFUSAL), answer.answer))
        return exchanges

    def _easy(self, first: tuple[Record, ...], second: tuple[Record, ...]) -> list[Exchange]:
        """Exchanges in both directions between the records of two couples; all or none."""
        if len(first) != len(second):
            return []
        for order in (second, second[::-1]):
            pairs = [pair for one, two in zip(first, order, strict=True) for pair in ((one, two), (two, one))]
            exchanges = [self._easy_exchange(*pair) for pair in pairs]
            whole = [exchange for exchange in exchanges if exchange is not None]
            if len(whole) == len(exchanges):
                return whole
        return []

    def _easy_exchange(self, record: Record, other: Record) -> Exchange | None:
        for fact in self._facts(record):
            if self.index.lacks(other, record, fact):
                options = draw_relevance_options(fact, other, *self.key, record.id, "easy")
                if options:
                    return Exchange("easy", record, other, fact, options, REFUSAL)
        return None
