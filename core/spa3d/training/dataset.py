"""The order in which a stage sees its records, and the text each of them brings.

Sample i of a stage is a pure function of (seed, i): epoch ``i // n`` goes through its own permutation of the records.
So a resumed run, another batch split or another number of ranks meets the same samples in the same optimizer step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from torch.utils.data import Dataset as TorchDataset

from spa3d.contracts.dataset import CAPTION, Conversation, Dataset, Record
from spa3d.data.ordering import order
from spa3d.errors import DataError
from spa3d.inference.samples import Sample
from spa3d.runtime.rng import keyed_generator

Item = TypeVar("Item")
ConversationSampler = Callable[[Record, int], Conversation]
"""(record, epoch) → the conversation to train on."""


class TrainingDataset(TorchDataset[Sample], Generic[Item]):
    """All samples of a stage in order, as the map-style dataset that the Trainer reads sequentially.

    Args:
        records: the training records, or the pairs.
        total: number of samples in the stage, over all epochs.
        seed: seed of the order.
        text: makes the sample of a record or a pair in an epoch.

    """

    def __init__(self, records: Sequence[Item], total: int, seed: int, text: Callable[[Item, int], Sample]) -> None:
        if not len(records):
            raise DataError("there is no record to train on; the training split is empty")
        self.records, self.total, self.seed, self.text = records, total, seed, text
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, index: int) -> Sample:
        epoch, place = divmod(index, len(self.records))
        if self._order[0] != epoch:
            self._order = (epoch, order(len(self.records), epoch, self.seed))
        record = self.records[self._order[1][place]]
        return self.text(record, epoch)


def captions(record: Record, epoch: int) -> Conversation:
    """The caption conversation, for alignment; records without one give their first round."""
    for conversation in record.conversations:
        if conversation.kind == CAPTION:
            return conversation
    first = record.conversations[0]
    return Conversation(CAPTION, first.rounds[:1], first.has_cloud)


def instructions(dataset: Dataset, seed: int) -> ConversationSampler:
    """What instruction tuning and post-training use: one conversation per epoch that is more than the bare caption.

    A conversation is drawn by its number of rounds, so that every round is as likely to be met.
    """

    def choose(record: Record, epoch: int) -> Conversation:
        conversations = dataset.conversations(record, epoch)
        rich = [conversation for conversation in conversations if conversation.kind != CAPTION] or list(conversations)
        place = int(keyed_generator("conversation", seed, epoch, record.id).integers(sum(len(t.rounds) for t in rich)))
        return [conversation for conversation in rich for _ in conversation.rounds][place]

    return choose
