"""Numbers of questions and seeds that a paired comparison needs to see an effect.

The mean difference of n questions and s seeds has the variance ``v * design * (r + (1 - r) / s) / n``. ``v`` is the
variance of a question's difference with one seed, and ``design`` the factor by which questions that come in clusters
count less (Kish, Survey Sampling, 1965). ``r`` is the correlation of a question's differences between two seeds: what
all seeds share does not shrink if there are more of them. The variation of the mean between seeds is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from spa3d.metrics.intervals import Clusters, Values, paired_estimate
from spa3d.metrics.paired_tests import power_factor
from spa3d.runtime.rng import Key

ANSWER_CORRELATION = 0.5
"""Assumed correlation of two models' answers to a question, without a pilot. Post-training changes fewer answers."""
CLUSTER_CORRELATION = 0.1
"""Assumed correlation of two differences in one cluster, without a pilot."""


@dataclass(frozen=True)
class PairedVariance:
    """Variance of a paired difference of answers.

    Attributes:
        single: variance of one question's difference with one seed.
        design: design effect of the clusters, at least 1.
        correlation: correlation of a question's differences between seeds, in [0, 1]; 1: more seeds do not help.

    """

    single: float
    design: float = 1.0
    correlation: float = 1.0

    def error(self, questions: int, seeds: int) -> float:
        """Standard error of the mean difference."""
        return sqrt(self._per_question(seeds) / questions)

    def questions_needed(self, effect: float, seeds: int, *, comparisons: int = 1) -> int:
        """Smallest number of questions whose minimum detectable effect is at most `effect`."""
        return ceil(self._per_question(seeds) * (power_factor(comparisons) / effect) ** 2 - 1e-9)

    def seeds_needed(self, effect: float, questions: int, *, comparisons: int = 1) -> int | None:
        """Smallest number of seeds with which `questions` are enough; None if no number is."""
        allowed = questions * (effect / power_factor(comparisons)) ** 2 / (self.single * self.design)
        shrinking, room = 1 - self.correlation, allowed - self.correlation
        if room >= shrinking:
            return 1
        return ceil(shrinking / room - 1e-9) if room > 1e-9 else None

    def _per_question(self, seeds: int) -> float:
        return self.single * self.design * (self.correlation + (1 - self.correlation) / seeds)


def estimate_variance(columns: Sequence[Values], clusters: Clusters, *, resamples: int, key: Key) -> PairedVariance:
    """Estimate the variance from a pilot.

    With one seed the correlation between seeds is unknown. It is then 1, so that more seeds promise nothing.

    Args:
        columns: differences of the same questions, ``(n,)`` for each seed of the pilot.
        clusters: the cluster of each question, ``n`` names.
        resamples: number of bootstrap resamples.
        key: key of the random numbers.

    """
    joint, seeds = np.mean(columns, axis=0), len(columns)
    correlation = _correlate_seeds(np.array(columns)) if seeds > 1 else 1.0
    clustered = paired_estimate(joint, clusters, resamples=resamples, key=key).error
    names = [str(number) for number in range(len(joint))]
    independent = paired_estimate(joint, names, resamples=resamples, key=key).error
    shrunk = correlation + (1 - correlation) / seeds
    design = max(1.0, (clustered / independent) ** 2)
    return PairedVariance(len(joint) * independent**2 / shrunk, design, correlation)


def assume_variance(clusters: Clusters) -> PairedVariance:
    """Assume the worst case without a pilot: both models answer half of the questions right.

    The variance of a difference is then ``2 * 0.25 * (1 - ANSWER_CORRELATION)``. The design effect follows from the
    sizes of the clusters and `CLUSTER_CORRELATION`.
    """
    _, sizes = np.unique(np.asarray(clusters), return_counts=True)
    typical = float((sizes**2).sum() / sizes.sum())
    return PairedVariance(0.5 * (1 - ANSWER_CORRELATION), 1 + (typical - 1) * CLUSTER_CORRELATION)


def _correlate_seeds(columns: np.ndarray) -> float:
    """Mean correlation of the differences between seeds, within [0, 1]; 1 if nothing varies."""
    covariance = np.cov(columns)  # (seeds, seeds)
    variance = np.trace(covariance) / len(columns)
    if variance < 1e-12:
        return 1.0
    shared = (covariance.sum() - np.trace(covariance)) / (len(columns) * (len(columns) - 1))
    return float(np.clip(shared / variance, 0.0, 1.0))
