"""AUROC: how well a score separates answers where something is there from those where not.

It is the probability that the score of the former is higher; ties count half. Source: Hanley and McNeil, Radiology 143,
1982. Intervals resample whole clusters, in which both sides may have members.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from spa3d.metrics.intervals import Clusters, Interval, resample_statistic, resampled_interval
from spa3d.runtime.rng import Key

Scores = Float[np.ndarray, " n"]
Positives = Bool[np.ndarray, " n"]
Weigh = Callable[[np.ndarray], np.ndarray]
"""Function from weights ``(r, n)`` to AUROCs ``(r,)``; NaN where a side has no weight."""


def auroc(scores: Scores, positive: Positives) -> float:
    """AUROC in [0, 1] of `scores`, ``(n,)``; -infinity and infinity are scores like others.

    Raises:
        ValueError: one of the two sides is empty, or a score is NaN.

    """
    return float(_weigh(scores, positive)(np.ones((1, len(scores))))[0])


def auroc_interval(scores: Scores, positive: Positives, clusters: Clusters, *, resamples: int, key: Key) -> Interval:
    """Percentile bootstrap interval of an AUROC, from resampled clusters.

    Args:
        scores: one per answer, ``(n,)``.
        positive: whether the thing is there, ``(n,)``.
        clusters: the cluster of each score, ``n`` names.
        resamples: number of bootstrap resamples.
        key: key of the random numbers.

    Raises:
        ValueError: as `auroc`.

    """
    values = resample_statistic(_weigh(scores, positive), clusters, resamples=resamples, key=key)
    return resampled_interval(values, auroc(scores, positive), clusters, limits=(0.0, 1.0))


def auroc_change_interval(
    before: Scores, after: Scores, positive: Positives, clusters: Clusters, *, resamples: int, key: Key
) -> Interval:
    """Interval of the change of an AUROC, of which both sides are resampled together.

    Arguments and errors are those of `auroc_interval`.
    """
    old, new = (
        resample_statistic(_weigh(scores, positive), clusters, resamples=resamples, key=key)
        for scores in (before, after)
    )
    change = auroc(after, positive) - auroc(before, positive)
    return resampled_interval(new - old, change, clusters, limits=(-1.0, 1.0))


def _weigh(scores: Scores, positive: Positives) -> Weigh:
    """Function that computes the AUROC of weighted answers; the scores are ranked once."""
    if positive.all() or not positive.any():
        raise ValueError(f"AUROC needs both sides; all {len(positive)} scores are on one")
    if np.isnan(scores).any():
        raise ValueError("AUROC: a score is NaN")
    levels, level = np.unique(scores, return_inverse=True)
    order = np.argsort(level[~positive], kind="stable")
    negative_levels, starts = np.unique(level[~positive][order], return_index=True)

    def weigh(weights: np.ndarray) -> np.ndarray:
        negative, there = weights[:, ~positive], weights[:, positive]
        mass = np.zeros((len(weights), len(levels)))
        mass[:, negative_levels] = np.add.reduceat(negative[:, order], starts, axis=1)
        below = mass.cumsum(axis=1) - mass / 2
        wins = (there * below[:, level[positive]]).sum(axis=1)
        with np.errstate(invalid="ignore"):
            return np.asarray(wins / (there.sum(axis=1) * negative.sum(axis=1)))

    return weigh
