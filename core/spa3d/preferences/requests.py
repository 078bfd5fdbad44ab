"""Requests for preference pairs, one per training record, and their responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spa3d.artifacts.hashing import digest
from spa3d.contracts.dataset import Dataset, Record
from spa3d.data.ordering import order
from spa3d.llm_clients.response_log import KeyedResponse
from spa3d.runtime.rng import keyed_generator


@dataclass(frozen=True)
class Request:
    """One question about one record, and its true answer."""

    record: Record
    question: str
    answer: str
    has_cloud: bool = True

    @property
    def key(self) -> str:
        """Hash of the request; key of its response."""
        return digest([self.record.id, self.question, self.answer, self.has_cloud])


@dataclass(frozen=True)
class Response(KeyedResponse):
    """Response to one request: two answers, or in `why_not` the reason for none."""

    chosen: str = ""
    rejected: str = ""
    why_not: str = ""


def draw_requests(
    dataset: Dataset, records: Sequence[Record], *, seed: int, limit: int, with_cloud: bool
) -> list[Request]:
    """Draw at most `limit` requests, one per record, in the order of the first training epoch.

    A round is drawn uniformly from all rounds of the record's conversations, the caption included. It is asked alone,
    as the first question about the cloud. A larger limit continues the list of a smaller one.

    Args:
        dataset: source of the conversations about a record.
        records: the training records.
        seed: of the order and of the draws.
        limit: most requests.
        with_cloud: leave text-only conversations out.

    """
    requests: list[Request] = []
    for index in order(len(records), 0, seed):
        if len(requests) >= limit:
            break
        record = records[index]
        conversations = [
            conversation
            for conversation in dataset.conversations(record, 0)
            if conversation.has_cloud or not with_cloud
        ]
        rounds = [(turn, conversation.has_cloud) for conversation in conversations for turn in conversation.rounds]
        if rounds:
            turn, has_cloud = rounds[int(keyed_generator("pair", seed, record.id).integers(len(rounds)))]
            requests.append(Request(record, turn.question, turn.answer, has_cloud))
    return requests
