"""Shared parts of preference objectives: log-ratios, margins safe at −inf, logistic loss."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from spa3d.contracts.objective import Need, Scores, Text

PAIR = (Need("chosen", "clean"), Need("rejected", "clean"))
"""Both answers of a preference pair, given the record's own cloud."""


def add_reference_needs(*needs: Need) -> tuple[Need, ...]:
    """`needs`, plus the same scores of the reference model, without gradient."""
    return (*needs, *(replace(need, model="reference", grad=False) for need in needs))


def difference(better: Float[Tensor, "*n"], worse: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """`better` − `worse` in nats; 0 without gradient where both are the same infinity."""
    undefined = better.isinf() & (better == worse)
    return torch.where(undefined, torch.zeros_like(better), better - worse)


def log_ratio(scores: Scores, text: Text, view: str) -> Float[Tensor, " B"]:
    """Log p of whole answers under the policy minus log p under the reference, in nats."""
    return difference(scores[text, view].logp, scores[text, view, "reference"].logp)


def answer_margin(scores: Scores) -> Float[Tensor, " B"]:
    """Log-ratio of the chosen answer minus that of the rejected one, clean cloud, in nats."""
    return difference(log_ratio(scores, "chosen", "clean"), log_ratio(scores, "rejected", "clean"))


def preference_loss(margin: Float[Tensor, "*n"], present: Bool[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """−log σ(`margin`), stable for any margin; 0 without gradient where `present` is false."""
    return torch.where(present, -F.logsigmoid(margin), torch.zeros_like(margin))
