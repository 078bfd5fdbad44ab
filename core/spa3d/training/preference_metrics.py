"""Metrics of a scored batch: likelihoods, margins, signs, saturation, rewards."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from spa3d.contracts.objective import Scores

SATURATED = 0.99
"""Sigmoid of the margin above which a pair no longer teaches (its gradient is below 1 % of the largest)."""

NOISED = "noised"
"""The view whose metrics carry no name: SPA's own negative."""


class Mean(NamedTuple):
    """Mean of a metric over a batch, and the number of tokens or samples that it is of."""

    value: float
    weight: int


def preference_metrics(scores: Scores, negatives: Collection[str] = (NOISED, "other")) -> dict[str, Mean]:
    """Log p per token of each text; margin, sign accuracy and saturation of each contrast.

    ``margin`` is log p of the chosen answer under the clean cloud minus its log p under the noised one.
    ``<view>_margin`` subtracts its log p under another view. ``pair_margin`` subtracts log p of the rejected answer.

    Args:
        scores: of a batch.
        negatives: views under which the chosen answer should be less likely.

    """
    metrics: dict[str, Mean] = {}
    for (text, view, model), score in scores.items():
        if model == "policy" and score.present.any():
            name = f"logp_{view}" if text == "chosen" else f"logp_{text}" if view == "clean" else f"logp_{text}_{view}"
            tokens = score.length.sum()
            metrics[name] = Mean(float((score.logp.sum() / tokens).detach()), int(tokens))
    contrasts = [("" if view == NOISED else f"{view}_", "chosen", view) for view in negatives]
    for prefix, text, view in [*contrasts, ("pair_", "rejected", "clean")]:
        worse, better = scores.get((text, view, "policy")), scores.get(("chosen", "clean", "policy"))
        if better is not None and worse is not None and worse.present.any():
            margin = (better.logp - worse.logp)[worse.present].detach()
            metrics[f"{prefix}margin"] = _mean(margin)
            metrics[f"{prefix}sign_accuracy"] = _mean(margin > 0)
            metrics[f"{prefix}saturation"] = _mean(torch.sigmoid(margin) > SATURATED)
    return metrics | _rewards(scores)


def level_metrics(levels: Mapping[str, tuple[float, int]]) -> dict[str, Mean]:
    """Measured noise levels: ``noise_level``, and ``<view>_level`` for other views."""
    return {"noise_level" if view == NOISED else f"{view}_level": Mean(*level) for view, level in levels.items()}


def _mean(values: Tensor) -> Mean:
    return Mean(float(values.float().mean()), len(values))


def _rewards(scores: Scores) -> dict[str, Mean]:
    """Margin and accuracy of rewards: log p(chosen) − log p(rejected), minus the reference's.

    The margin, in nats, is DPO's implicit reward margin without β.
    """
    keys = [(text, "clean", model) for model in ("policy", "reference") for text in ("chosen", "rejected")]
    if any(key not in scores for key in keys):
        return {}
    chosen, rejected, known_chosen, known_rejected = (scores[key] for key in keys)
    both = chosen.present & rejected.present
    if not both.any():
        return {}
    moved = (chosen.logp - rejected.logp) - (known_chosen.logp - known_rejected.logp)
    margin = moved[both].detach()
    return {"reward_margin": _mean(margin), "reward_accuracy": _mean(margin > 0)}


def mean_metrics(batches: Sequence[Mapping[str, Mean]]) -> dict[str, float]:
    """Mean of each metric over all tokens or samples that have it, for any split into batches."""
    means: dict[str, float] = {}
    for name in dict.fromkeys(name for metrics in batches for name in metrics):
        parts = [metrics[name] for metrics in batches if name in metrics]
        means[name] = sum(part.value * part.weight for part in parts) / sum(part.weight for part in parts)
    return means
