"""The order in which a stage sees its records, and the text each of them brings.

Sample i of a stage is a pure function of (seed, i): epoch ``i // n`` goes through its own permutation of the records.
So a resumed run, another batch split or another number of ranks meets the same samples in the same optimiser step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch.utils.data import Dataset as TorchDataset

from spa3d.contracts.dataset import CAPTION, Conversation, Dataset, Record
from spa3d.draws import generator
from spa3d.errors import DataError, about
from spa3d.model.processing import Spa3dProcessor, Tokens

Talk = Callable[[Record, int], Conversation]
"""(record, epoch) → the conversation to train on."""


@dataclass(frozen=True)
class Sample:
    """One record in one epoch, with its conversation tokenised for each opening of the prompt."""

    record_id: str
    epoch: int
    texts: dict[str, Tokens]
    has_cloud: bool = True


def order(length: int, epoch: int, seed: int) -> list[int]:
    """The permutation that `epoch` goes through."""
    return [int(i) for i in generator("order", seed, epoch).permutation(length)]


class SampleStream(TorchDataset[Sample]):
    """All samples of a stage in order, as the map-style dataset that the Trainer reads sequentially.

    Args:
        records: the training records.
        total: number of samples in the stage, over all epochs.
        seed: seed of the order.
        text: makes the sample of a record in an epoch.

    """

    def __init__(self, records: Sequence[Record], total: int, seed: int, text: Callable[[Record, int], Sample]) -> None:
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
    for talk in record.conversations:
        if talk.kind == CAPTION:
            return talk
    first = record.conversations[0]
    return Conversation(CAPTION, first.rounds[:1], first.has_cloud)


def instructions(dataset: Dataset, seed: int) -> Talk:
    """What instruction tuning and post-training use: one conversation per epoch that is more than the bare caption.

    A conversation is drawn by its number of rounds, so that every round is as likely to be met.
    """

    def choose(record: Record, epoch: int) -> Conversation:
        talks = dataset.conversations(record, epoch)
        rich = [talk for talk in talks if talk.kind != CAPTION] or list(talks)
        place = int(generator("conversation", seed, epoch, record.id).integers(sum(len(t.rounds) for t in rich)))
        return [talk for talk in rich for _ in talk.rounds][place]

    return choose


def tokenised(
    processor: Spa3dProcessor, talk: Talk, openings: Sequence[str], *, blind: bool = False
) -> Callable[[Record, int], Sample]:
    """Makes samples for `SampleStream`: the chosen conversation under each of `openings` (``cloud``, ``blind``).

    With `blind` no sample has a cloud, whatever it is opened with: the control that is trained without clouds.
    """

    def text(record: Record, epoch: int) -> Sample:
        conversation = talk(record, epoch)
        has_cloud = conversation.has_cloud and not blind
        texts = {}
        with about(record.id):
            for opening in openings:
                shown = processor.opening("cloud" if opening == "cloud" and has_cloud else "blind")
                texts[opening] = processor.tokenise(conversation, shown)
                if not texts[opening].answer_count:
                    raise DataError(
                        f"no answer token is left of a conversation of {len(texts[opening].ids)} tokens; "
                        "raise --llm.max_length or shorten the text"
                    )
        return Sample(record.id, epoch, texts, has_cloud)

    return text
