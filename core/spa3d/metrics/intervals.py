"""Intervals and tests for means over questions that come in clusters.

Several questions about one object stand or fall together, so the unit that is drawn, or whose sign is flipped, is
the cluster (the record), never the single question. Everything here is a pure function of its arguments: the
random numbers come from `spa3d.runtime.rng.generator` and the caller's key.

Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13 (clusters, percentile
interval); Wilson, JASA 22, 1927; Bonett and Price, J. Educational and Behavioral Statistics 37, 2012 (paired shares);
Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005, chapter 3 (sign flips).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from spa3d.runtime.rng import Key, keyed_generator

Values = Float[np.ndarray, " n"]
Clusters = Sequence[str] | np.ndarray
Z_SQUARED = 3.841459
"""95 % point of the chi-square distribution with one degree of freedom (1.96 squared)."""
TAILS = (0.025, 0.975)
BLOCK = 4_000_000
"""Random numbers held at once; bounds the memory at some 50 MB whatever the number of clusters."""
TIE = 1e-9
"""Sums closer than this are the same sum: floating-point addition is not exact."""


class Interval(NamedTuple):
    """A 95 % interval, ends included."""

    low: float
    high: float


def mean_interval(values: Values, clusters: Clusters, *, resamples: int, key: Key) -> Interval:
    """Percentile bootstrap interval of the mean of `values`, drawing whole clusters.

    Where all clusters have the same mean, no resample can differ from the sample and the percentile interval would
    shrink to a point; `unanimous_interval` takes its place.

    Args:
        values: one number per question, ``(n,)`` with n >= 1, each in [0, 1].
        clusters: the cluster of each value, ``n`` names.
        resamples: number of bootstrap resamples.
        key: key of the random numbers.

    Raises:
        ValueError: no values, or not as many clusters as values.

    """
    sums, counts = _by_cluster(values, clusters)
    means = sums / counts
    if np.ptp(means) < TIE:
        return unanimous_interval(float(means[0]), len(means))
    return _percentiles(sums, counts, resamples, key)


def unanimous_interval(mean: float, clusters: int) -> Interval:
    """Interval of a mean in [0, 1] about which all `clusters` clusters agree.

    At most a share ``u = z^2 / (clusters + z^2)`` of the population behaves otherwise (Wilson's bound at 0 of
    `clusters`), and it may lie anywhere in [0, 1]. For a mean of 1 this is Wilson's own interval: 24 right of 24 give
    [0.862, 1].
    """
    other = Z_SQUARED / (clusters + Z_SQUARED)
    return Interval(mean - other * mean, mean + other * (1 - mean))


def paired_interval(differences: Values, clusters: Clusters, *, resamples: int, key: Key) -> Interval:
    """Bootstrap interval of a mean paired difference, drawing whole clusters.

    Two clusters of average size are added, one in which one question more is right and one in which one less is
    (Bonett and Price). Without them a handful of changes that happen to point the same way passes for an effect:
    four of 400 records would already exclude 0, though that happens by luck in one case of eight.

    Args:
        differences: after minus before, one per question, ``(n,)`` with n >= 1, each in [-1, 1].
        clusters: the cluster of each difference, ``n`` names.
        resamples: number of bootstrap resamples.
        key: key of the random numbers.

    """
    sums, counts = _by_cluster(differences, clusters)
    size = counts.mean()
    return _percentiles(np.append(sums, (1.0, -1.0)), np.append(counts, (size, size)), resamples, key)


def sign_flip_p(differences: Values, clusters: Clusters, *, resamples: int, key: Key) -> float:
    """Two-sided p value of "the mean difference is 0" from flipping the signs of whole clusters.

    Exact where all sign patterns of the clusters that moved can be listed in `resamples` steps; otherwise from that
    many random patterns, counting the observed one: ``(1 + hits) / (1 + resamples)``, so never 0.

    Args:
        differences: after minus before, one per question, ``(n,)`` with n >= 1.
        clusters: the cluster of each difference, ``n`` names.
        resamples: number of sign patterns.
        key: key of the random numbers.

    """
    sums, _ = _by_cluster(differences, clusters)
    moved = sums[np.abs(sums) > TIE]
    if len(moved) == 0:
        return 1.0
    observed = abs(moved.sum()) - TIE
    if 2 ** len(moved) <= resamples:
        patterns = np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1
        return float(np.mean(_flipped(patterns, moved) >= observed))
    hits = sum(int((_flipped(bits, moved) >= observed).sum()) for bits in _coins(len(moved), resamples, key))
    return (1 + hits) / (1 + resamples)


def _by_cluster(values: Values, clusters: Clusters) -> tuple[Values, Values]:
    """Sum and number of the values of each cluster, clusters in the order of their names."""
    if len(values) == 0 or len(values) != len(clusters):
        raise ValueError(
            f"{len(values)} values with {len(clusters)} clusters: one cluster per value, at least one value"
        )
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    return np.bincount(index, weights=values), np.bincount(index).astype(float)


def _percentiles(sums: Values, counts: Values, resamples: int, key: Key) -> Interval:
    """The middle 95 % of the resampled means."""
    means = [sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1) for drawn in _resamples(len(sums), resamples, key)]
    low, high = np.quantile(np.concatenate(means), TAILS)
    return Interval(float(low), float(high))


def _resamples(clusters: int, resamples: int, key: Key) -> Iterator[np.ndarray]:
    """Indices of the clusters drawn, ``(block, clusters)`` at a time."""
    stream = keyed_generator("bootstrap", *key)
    for size in _blocks(clusters, resamples):
        yield stream.integers(clusters, size=(size, clusters), dtype=np.int32)


def _coins(clusters: int, patterns: int, key: Key) -> Iterator[np.ndarray]:
    """Fair coins, ``(block, clusters)`` at a time."""
    stream = keyed_generator("sign flips", *key)
    for size in _blocks(clusters, patterns):
        yield stream.integers(2, size=(size, clusters), dtype=np.int8)


def _blocks(width: int, total: int) -> Iterator[int]:
    """Heights that add up to `total`, each block at most `BLOCK` numbers."""
    height = max(1, BLOCK // width)
    for start in range(0, total, height):
        yield min(height, total - start)


def _flipped(coins: np.ndarray, sums: Values) -> Values:
    """Absolute value of the sum for each pattern: coin 1 keeps a sign, coin 0 turns it."""
    return np.asarray(np.abs(2 * (coins.astype(float) @ sums) - sums.sum()))
