"""Tokenized conversations: ids, labels and rounds, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

IGNORED = -100
"""Label of a token that is not an answer (torch's cross-entropy convention)."""
PromptPrefix = Literal["cloud", "blind"]


@dataclass(frozen=True)
class Tokens:
    """A tokenized conversation: ids, labels (`IGNORED` outside answers), round of each label.

    ``cut`` is the number of answer tokens that were cut off, because they lie beyond the longest prompt.
    """

    ids: list[int]
    labels: list[int]
    rounds: list[int]
    cut: int = 0

    @property
    def answer_count(self) -> int:
        """Number of answer tokens."""
        return sum(label != IGNORED for label in self.labels)


def collate(rows: Sequence[Tokens], pad: int, device: torch.device) -> dict[str, Tensor]:
    """Right-padded ids, attention mask, labels and rounds, each ``(B, T)`` int64.

    All four are copied to `device` at once, for a GPU from pinned memory and without waiting.
    """
    width = max(len(row.ids) for row in rows)

    def pad_rows(values: Sequence[Sequence[int]], fill: int) -> list[list[int]]:
        return [list(row) + [fill] * (width - len(row)) for row in values]

    tables = {
        "input_ids": pad_rows([row.ids for row in rows], pad),
        "attention_mask": pad_rows([[1] * len(row.ids) for row in rows], 0),
        "labels": pad_rows([row.labels for row in rows], IGNORED),
        "rounds": pad_rows([row.rounds for row in rows], -1),
    }
    stacked = torch.tensor(list(tables.values()), dtype=torch.long, device="cpu")
    if device.type == "cuda":
        stacked = stacked.pin_memory().to(device, non_blocking=True)
    return dict(zip(tables, stacked.to(device).unbind(), strict=True))
