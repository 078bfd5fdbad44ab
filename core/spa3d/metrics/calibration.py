"""Calibration of answers picked among options: expected calibration error and Brier score.

The probability of an option is the softmax of the options' log p: what the model believes if one of them must be right.
The *confidence* is the highest of these probabilities.

- ECE: the confidences are put into `BINS` bins of equal width, ``((b - 1) / BINS, b / BINS]``. It is the mean distance
  of a bin's accuracy from its mean confidence, weighted by its number of answers (Guo et al., ICML 2017).
- Brier score: the mean over the answers of the summed squared distances of the probabilities from 1 for the right
  option and 0 for the others (Brier, Monthly Weather Review 78, 1950). It lies in 0..2. Equal probabilities of four
  options give 0.75.

Both are 0 for a model that is always sure and right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spa3d.metrics.intervals import Values

BINS = 15


class Bin(NamedTuple):
    """Answers of similar confidence: mean confidence, share of right ones, and their number."""

    confidence: float
    accuracy: float
    n: int


class Calibration(NamedTuple):
    """Calibration of `n` answers; ``bins`` without answers are left out."""

    ece: float
    brier: float
    n: int
    bins: tuple[Bin, ...]


def option_probabilities(logp: Sequence[float]) -> Values:
    """Probabilities of the options, ``(options,)``, from their log p in nats."""
    shifted = np.exp(np.asarray(logp, dtype=float) - max(logp))
    return np.asarray(shifted / shifted.sum())


def measure_calibration(logp: Sequence[Sequence[float]], right: Sequence[int]) -> Calibration:
    """Measure the calibration of some answers.

    Args:
        logp: log p of each answer's options, in nats; the numbers of options may differ.
        right: index of the right option of each answer.

    Raises:
        ValueError: there is no answer, or `right` has another length.

    """
    if not logp or len(logp) != len(right):
        raise ValueError(f"{len(logp)} answers with {len(right)} right options: one each, at least one answer")
    probabilities = [option_probabilities(each) for each in logp]
    confidences = np.array([each.max() for each in probabilities])
    picks = [int(np.argmax(each)) for each in logp]  # of equally likely options the first, as in the answers
    hits = np.array([float(pick == index) for pick, index in zip(picks, right, strict=True)])
    brier = [(each**2).sum() - 2 * each[index] + 1 for each, index in zip(probabilities, right, strict=True)]
    bins = _fill_bins(confidences, hits)
    ece = sum(each.n * abs(each.accuracy - each.confidence) for each in bins) / len(logp)
    return Calibration(float(ece), float(np.mean(brier)), len(logp), bins)


def _fill_bins(confidences: Values, hits: Values) -> tuple[Bin, ...]:
    numbers = np.clip(np.ceil(confidences * BINS), 1, BINS)
    return tuple(
        Bin(float(confidences[mask].mean()), float(hits[mask].mean()), int(mask.sum()))
        for number in range(1, BINS + 1)
        if (mask := numbers == number).any()
    )
