"""Questions and seeds that an effect needs, computed by hand."""

import numpy as np
import pytest

from spa3d.metrics.sample_size import PairedVariance, assume_variance, estimate_variance

KEY = ("test", 0)
FACTOR = 1.959964 + 0.841621


def test_questions_needed_by_hand():
    # (2.8016 / 0.02)^2 * 0.25 = 4905.6; a design effect of 2 doubles it.
    assert PairedVariance(0.25).questions_needed(0.02, 1) == 4906
    assert PairedVariance(0.25, design=2.0).questions_needed(0.02, 1) == 9812
    assert PairedVariance(0.25, design=2.0).questions_needed(0.02, 5) == 9812, "seeds that agree add nothing"


def test_questions_needed_with_seeds_that_differ():
    # 0.4 + 0.6 / 3 = 0.6 of the variance is left with three seeds.
    variance = PairedVariance(0.25, correlation=0.4)
    assert variance.questions_needed(0.02, 3) == 2944  # 0.6 * 4905.6 = 2943.3
    assert variance.questions_needed(0.02, 1, comparisons=10) == pytest.approx(0.25 * (3.648655 / 0.02) ** 2, abs=1)


def test_error_and_questions_needed_agree():
    variance = PairedVariance(0.1, design=1.7, correlation=0.3)
    needed = variance.questions_needed(0.015, 2)
    assert FACTOR * variance.error(needed, 2) <= 0.015 < FACTOR * variance.error(needed - 1, 2)


def test_seeds_needed_by_hand():
    variance = PairedVariance(0.25, correlation=0.4)
    assert variance.seeds_needed(0.02, 4906) == 1
    assert variance.seeds_needed(0.02, 2944) == 3
    assert variance.seeds_needed(0.02, 2943) == 4
    assert variance.seeds_needed(0.02, 1900) is None, "0.4 of the variance stays for any number of seeds"
    assert PairedVariance(0.25).seeds_needed(0.02, 4906) == 1
    assert PairedVariance(0.25).seeds_needed(0.02, 4900) is None


def test_assume_variance_by_hand():
    # Sizes 3 and 1: a question has (9 + 1) / 4 = 2.5 in its cluster on average; 1 + 1.5 * 0.1.
    assert assume_variance(["a", "a", "a", "b"]) == PairedVariance(0.25, 1.15)
    assert assume_variance(["a", "b"]).design == 1.0


def test_estimate_variance_of_independent_questions():
    # Half of 1,000 questions change, as many up as down: variance 0.5, two added at +-1 make it 0.501.
    differences = np.array([1.0, -1.0, 0.0, 0.0] * 250)
    result = estimate_variance([differences], [str(i) for i in range(1000)], resamples=2000, key=KEY)
    assert result.single == pytest.approx(0.5, rel=0.08)
    assert result.design == pytest.approx(1.0, abs=0.1)
    assert result.correlation == 1.0, "one seed says nothing of others"


def test_estimate_variance_of_clusters_that_change_together():
    differences = np.repeat([1.0, -1.0, 0.0, 0.0] * 60, 5)
    names = np.repeat([f"{i:03d}" for i in range(240)], 5)
    assert estimate_variance([differences], names, resamples=2000, key=KEY).design == pytest.approx(5, rel=0.15)


def test_estimate_variance_of_two_seeds():
    # Half of the variance is the questions', half each seed's own.
    stream = np.random.default_rng(0)
    shared, own = stream.normal(0, 0.3, 2000), stream.normal(0, 0.3, (2, 2000))
    result = estimate_variance(
        [shared + own[0], shared + own[1]], [str(i) for i in range(2000)], resamples=1000, key=KEY
    )
    assert result.correlation == pytest.approx(0.5, abs=0.06)
    assert result.single == pytest.approx(0.18, rel=0.08)


def test_estimate_variance_of_unchanged_answers_is_above_zero():
    result = estimate_variance([np.zeros(100)] * 2, [str(i) for i in range(100)], resamples=500, key=KEY)
    assert result.questions_needed(0.02, 1) > 0
