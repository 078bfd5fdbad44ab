"""What objectives of preference have in common: log-ratios, margins that survive −inf, and the logistic loss."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from spa3d.contracts.objective import Need, Scores, Text

PAIR = (Need("chosen", "clean"), Need("rejected", "clean"))
"""Both answers of a preference pair, given the record's own cloud."""


def with_reference(*needs: Need) -> tuple[Need, ...]:
    """`needs`, and the same of the reference model, which never learns."""
    return (*needs, *(replace(need, model="reference", grad=False) for need in needs))


def difference(better: Float[Tensor, "*n"], worse: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """`better` − `worse` in nats; 0 without gradient where both are the same infinity and say nothing."""
    silent = better.isinf() & (better == worse)
    return torch.where(silent, torch.zeros_like(better), better - worse)


def log_ratio(scores: Scores, text: Text, view: str) -> Float[Tensor, " B"]:
    """Log p of whole answers under the policy over that under the reference, in nats."""
    return difference(scores[text, view].logp, scores[text, view, "reference"].logp)


def answer_margin(scores: Scores) -> Float[Tensor, " B"]:
    """By how much more than the reference the policy prefers the chosen answer, given the clean cloud; in nats."""
    return difference(log_ratio(scores, "chosen", "clean"), log_ratio(scores, "rejected", "clean"))


def prefer(margin: Float[Tensor, "*n"], present: Bool[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """−log σ(`margin`), stable for margins of any size; 0 without gradient where there is nothing to compare."""
    return torch.where(present, -F.logsigmoid(margin), torch.zeros_like(margin))
