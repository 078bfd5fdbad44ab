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
    """A tokenised conversation: ids, labels (`IGNORED` outside answers) and the round each label belongs to."""

    ids: list[int]
    labels: list[int]
    rounds: list[int]

    @property
    def answer_count(self) -> int:
        """Number of answer tokens."""
        return sum(label != IGNORED for label in self.labels)


def collate(rows: Sequence[Tokens], pad: int, device: torch.device) -> dict[str, Tensor]:
    """Right-padded ``input_ids``, ``attention_mask``, ``labels`` and ``rounds``, each ``(B, T)`` int64."""
    width = max(len(row.ids) for row in rows)

    def table(values: Sequence[Sequence[int]], fill: int) -> Tensor:
        padded = [list(row) + [fill] * (width - len(row)) for row in values]
        return torch.tensor(padded, dtype=torch.long).to(device, non_blocking=True)

    return {
        "input_ids": table([row.ids for row in rows], pad),
        "attention_mask": table([[1] * len(row.ids) for row in rows], 0),
        "labels": table([row.labels for row in rows], IGNORED),
        "rounds": table([row.rounds for row in rows], -1),
    }
