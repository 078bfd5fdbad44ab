"""Base of datasets of real clouds with facts, whose twins are edits of the clouds."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from spa3d.contracts.dataset import Conversation, Dataset, Record, Twin
from spa3d.errors import DataError
from spa3d_plugins.datasets import cloud_edits
from spa3d_plugins.datasets.fact_questions import draw_conversations


class DescribedClouds(Dataset):
    """A dataset with twins, and with rounds about facts drawn in each epoch.

    Its configuration is a `FreshRounds` with a ``seed``.
    """

    folder: Path
    """The folder that says which records there are, for messages."""

    @abstractmethod
    def original(self, record_id: str) -> Record | None:
        """The record with this id; None for a twin's id, or where there is none."""

    def record(self, record_id: str) -> Record:
        """Record with this id; ``<id>~<number>`` is its twin."""
        if record := self.original(record_id):
            return record
        if match := cloud_edits.TWIN_ID.fullmatch(record_id):
            twin = self.twin(self.record(match[1]), int(match[2]))
            if twin and twin.record.id == record_id:
                return twin.record
        raise DataError(f"{self.folder}: no record {record_id!r} in {', '.join(self.splits)}.")

    def twin(self, record: Record, number: int = 0) -> Twin | None:
        """Make the `number`-th twin, recolored or stretched; None where that is impossible."""
        if record.id != record.object_id or self.original(f"{record.id}~{number}"):
            return None
        try:
            return cloud_edits.cloud_twin(record, number, self.up_axis)
        except DataError:
            if self.on_bad_data == "stop":
                raise
            return None

    def conversations(self, record: Record, epoch: int) -> tuple[Conversation, ...]:
        """Fixed conversations, or captions and newly drawn rounds for objects with facts."""
        return draw_conversations(record, self.config.seed, epoch, self.config)
