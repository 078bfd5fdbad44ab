"""Metrics of a scored batch: likelihoods, margins, signs, saturation, rewards."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch

from spa3d.contracts.objective import Scores

SATURATED = 0.99
"""Sigmoid of the margin above which a pair no longer teaches (its gradient is below 1 % of the largest)."""

NOISED = "noised"
"""The view whose metrics carry no name: SPA's own negative."""


def preference_metrics(scores: Scores, negatives: Collection[str] = (NOISED, "other")) -> dict[str, float]:
    """Log p per token of each text; margin, sign accuracy and saturation of each contrast.

    ``margin`` is log p of the chosen answer under the clean cloud minus its log p under the noised one.
    ``<view>_margin`` subtracts its log p under another view. ``pair_margin`` subtracts log p of the rejected answer.

    Args:
        scores: of a batch.
        negatives: views under which the chosen answer should be less likely.

    """
    metrics: dict[str, float] = {}
    for (text, view, model), score in scores.items():
        if model == "policy" and score.present.any():
            name = f"logp_{view}" if text == "chosen" else f"logp_{text}" if view == "clean" else f"logp_{text}_{view}"
            metrics[name] = float((score.logp.sum() / score.length.sum()).detach())
    contrasts = [("" if view == NOISED else f"{view}_", "chosen", view) for view in negatives]
    for prefix, text, view in [*contrasts, ("pair_", "rejected", "clean")]:
        worse, better = scores.get((text, view, "policy")), scores.get(("chosen", "clean", "policy"))
        if better is not None and worse is not None and worse.present.any():
            margin = (better.logp - worse.logp)[worse.present].detach()
            metrics[f"{prefix}margin"] = float(margin.mean())
            metrics[f"{prefix}sign_accuracy"] = float((margin > 0).float().mean())
            metrics[f"{prefix}saturation"] = float((torch.sigmoid(margin) > SATURATED).float().mean())
    return metrics | _rewards(scores)


def level_metrics(levels: Mapping[str, float]) -> dict[str, float]:
    """Measured noise levels: ``noise_level``, and ``<view>_level`` for other views."""
    return {"noise_level" if view == NOISED else f"{view}_level": level for view, level in levels.items()}


def _rewards(scores: Scores) -> dict[str, float]:
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
    return {"reward_margin": float(margin.mean()), "reward_accuracy": float((margin > 0).float().mean())}


def mean_metrics(rows: Sequence[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """Mean of each metric over the batches that have it, weighted with their numbers of samples."""
    means: dict[str, float] = {}
    for name in dict.fromkeys(name for _, metrics in rows for name in metrics):
        values = [(size, metrics[name]) for size, metrics in rows if name in metrics]
        means[name] = sum(size * value for size, value in values) / sum(size for size, _ in values)
    return means
