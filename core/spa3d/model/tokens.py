"""Tokenized conversations, batches of them, and the likelihood of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from spa3d.llm_clients.prompt_ids import Offsets

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

    def up_to_end(self) -> list[int]:
        """Ids up to the last label: without what a template writes behind the end of an answer."""
        behind = sum(1 for _ in takewhile(lambda label: label == IGNORED, reversed(self.labels)))
        return self.ids[: len(self.ids) - behind]


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


def score_answers(
    logits: Float[Tensor, "A V"], labels: Int[Tensor, "B T"]
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "A V"]]:
    """Log p of the labeled tokens, 0 elsewhere, and of the vocabulary there; nats, float32."""
    labeled = labels[:, 1:] != IGNORED
    whole = torch.log_softmax(logits.float(), dim=-1)
    result = torch.zeros(labels.shape, dtype=torch.float32, device=logits.device)
    result[:, 1:][labeled] = whole.gather(1, labels[:, 1:][labeled].unsqueeze(1)).squeeze(1)
    return result, whole


def check_patches(places: Tensor, patch_count: int | None, *, clouds: int, size: int) -> None:
    """Check that each cloud of `size` embeddings has its patch tokens in a prompt of its own.

    A given `patch_count` is compared as it is; without it, the prompts are counted one by one.
    """
    counts = [patch_count] if patch_count is not None else places.sum(dim=1).tolist()
    if sum(counts) != clouds * size or (patch_count is None and not {*counts} <= {0, size}):
        each = f", {counts} in the prompts" if len(counts) > 1 else ""
        raise ValueError(f"{sum(counts)} patch tokens in the text{each} for {clouds} clouds of {size} embeddings each")


def find_rounds(offsets: Offsets, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Index of the answer of each token; -1 outside.

    An answer has all tokens from the first to the last with one of its characters. Some tokenizers leave spaces out of
    the offsets (``trim_offsets``), so tokens in between may have none.
    """
    rounds = [-1] * len(offsets)
    for index, (first, last) in enumerate(spans):
        inside = [position for position, (start, end) in enumerate(offsets) if end > first and start < last]
        if not inside:
            continue
        begin = inside[0]
        while begin and offsets[begin - 1] == (first, first):  # the space mark of sentencepiece
            begin -= 1
        rounds[begin : inside[-1] + 1] = [index] * (inside[-1] + 1 - begin)
    return rounds
