"""Training dataset: the order of the records in a stage, and the conversation of each.

Sample i of a stage is a pure function of (seed, i): epoch ``i // n`` goes through its own permutation of the records.
So a resumed run, another batch split or another number of ranks has the same samples in each optimizer step.
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
    """All samples of a stage in order, as a map-style dataset for sequential reading.

    Args:
        records: the training records, or the pairs.
        total: number of samples in the stage, over all epochs.
        seed: seed of the order.
        text: function that makes the sample of a record or pair in an epoch.

    Attributes:
        cut: record and text → a line about an answer that is longer than the longest prompt, as first read.

    """

    def __init__(self, records: Sequence[Item], total: int, seed: int, text: Callable[[Item, int], Sample]) -> None:
        if not len(records):
            raise DataError("there is no record to train on; the training split is empty")
        self.records, self.total, self.seed, self.text = records, total, seed, text
        self.cut: dict[tuple[str, str], str] = {}
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, index: int) -> Sample:
        epoch, position = divmod(index, len(self.records))
        if self._order[0] != epoch:
            self._order = (epoch, order(len(self.records), epoch, self.seed))
        sample = self.text(self.records[self._order[1][position]], epoch)
        for (text, _), tokens in sample.texts.items():
            if tokens.cut:
                count = tokens.cut + tokens.answer_count
                line = f"record {sample.record_id}: {tokens.cut} of {count} tokens of the {text} answer lie beyond "
                self.cut.setdefault((sample.record_id, text), f"{line}--llm.max_length and are not trained on")
        return sample


def captions(record: Record, epoch: int) -> Conversation:
    """The caption conversation, for alignment; without one, the first round about the cloud."""
    shown = [conversation for conversation in record.conversations if conversation.has_cloud] or record.conversations
    for conversation in shown:
        if conversation.kind == CAPTION:
            return conversation
    return Conversation(CAPTION, shown[0].rounds[:1], shown[0].has_cloud)


def instructions(dataset: Dataset, seed: int) -> ConversationSampler:
    """Sampler of one conversation per epoch, not the caption: for instruct and post-training.

    The probability of a conversation is proportional to its number of rounds, so all rounds are equally likely.
    """

    def choose(record: Record, epoch: int) -> Conversation:
        conversations = dataset.conversations(record, epoch)
        rich = [conversation for conversation in conversations if conversation.kind != CAPTION] or list(conversations)
        position = int(
            keyed_generator("conversation", seed, epoch, record.id).integers(sum(len(t.rounds) for t in rich))
        )
        return [conversation for conversation in rich for _ in conversation.rounds][position]

    return choose
