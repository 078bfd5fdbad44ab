"""Contrastive decoding: takes back what a noised cloud makes likely, too.

Visual contrastive decoding (VCD, arXiv 2311.16922, equations 3 to 5): the logits of a next token are
``(1 + alpha) * clean - alpha * noised``, and only tokens that are plausible given the clean cloud may be generated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import LogitsProcessor


@dataclass(frozen=True)
class Contrast:
    """Strength of contrastive decoding.

    Attributes:
        alpha: weight of the noised cloud; 0 decodes from the clean cloud alone.
        cutoff: a token may be generated if it is at least this many times as probable as the most probable one, given
            the clean cloud. Options are scored without it, because it would give most of them log p -infinity.

    """

    alpha: float = 1.0
    cutoff: float = 0.1

    def combine(self, clean: Float[Tensor, "*places V"], noised: Float[Tensor, "*places V"]) -> Tensor:
        """Contrasted logits, from logits or from log p, which differ by a constant per place."""
        return (1 + self.alpha) * clean.float() - self.alpha * noised.float()

    def mask_implausible(self, logits: Tensor, clean: Tensor) -> Tensor:
        """`logits` with -infinity for tokens below the cutoff."""
        clean = clean.float()
        if not self.cutoff:
            return logits
        least = clean.amax(dim=-1, keepdim=True) + math.log(self.cutoff)
        return logits.masked_fill(clean < least, -torch.inf)


class ContrastLogits(LogitsProcessor):
    """Gives both halves of a batch the contrasted logits, so that they stay equal.

    The first half of the rows are prompts with clean clouds, the second half the same prompts with noised ones.
    """

    def __init__(self, contrast: Contrast) -> None:
        self.contrast = contrast

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Logits ``(2 B, V)``, the same in both halves."""
        clean, noised = scores.chunk(2)
        logits = self.contrast.mask_implausible(self.contrast.combine(clean, noised), clean)
        return torch.cat([logits, logits]).to(scores.dtype)
