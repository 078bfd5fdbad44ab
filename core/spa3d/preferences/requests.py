"""What is asked to make pairs: one question of each training record, in a keyed order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spa3d.artifacts.hashing import digest
from spa3d.contracts.dataset import Dataset, Record
from spa3d.data.ordering import order
from spa3d.runtime.rng import generator


@dataclass(frozen=True)
class Request:
    """One question about one record, and its true answer."""

    record: Record
    question: str
    answer: str
    has_cloud: bool = True

    @property
    def key(self) -> str:
        """What its answer is found by."""
        return digest([self.record.id, self.question, self.answer, self.has_cloud])


def draw_requests(
    dataset: Dataset, records: Sequence[Record], *, seed: int, limit: int, with_cloud: bool
) -> list[Request]:
    """At most `limit` requests, one per record, in the order in which training first meets the records.

    A round is drawn from all rounds of the record's conversations, the caption among them, each as likely; it is asked
    alone, as the first question about the cloud. A larger limit continues the list of a smaller one.

    Args:
        dataset: says what is asked about a record.
        records: the training records.
        seed: of the order and of the draws.
        limit: most requests.
        with_cloud: leave text-only conversations out.

    """
    found: list[Request] = []
    for place in order(len(records), 0, seed):
        if len(found) >= limit:
            break
        record = records[place]
        talks = [talk for talk in dataset.conversations(record, 0) if talk.has_cloud or not with_cloud]
        rounds = [(one, talk.has_cloud) for talk in talks for one in talk.rounds]
        if rounds:
            one, has_cloud = rounds[int(generator("pair", seed, record.id).integers(len(rounds)))]
            found.append(Request(record, one.question, one.answer, has_cloud))
    return found
