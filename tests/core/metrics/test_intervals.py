"""Intervals and p values, computed by hand."""

import numpy as np
import pytest

from spa3d.metrics.intervals import mean_interval, paired_interval, sign_flip_p, unanimous_interval

KEY = ("test", 0)


def test_mean_interval_two_clusters():
    # The resample means are 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4: 2.5 % and 97.5 % fall on the ends.
    assert mean_interval(np.array([0.0, 1.0]), ["a", "b"], resamples=2000, key=KEY) == (0.0, 1.0)


def test_mean_interval_resamples_whole_records():
    values = np.repeat([0.0, 1.0], 50)
    one_record_each = [str(i) for i in range(100)]
    two_records = ["a"] * 50 + ["b"] * 50
    narrow = mean_interval(values, one_record_each, resamples=2000, key=KEY)
    wide = mean_interval(values, two_records, resamples=2000, key=KEY)
    assert wide == (0.0, 1.0)
    assert narrow == pytest.approx((0.4, 0.6), abs=0.02)  # 0.5 -+ 1.96 * sqrt(0.25 / 100) = 0.402, 0.598


def test_mean_interval_matches_the_normal_approximation():
    # Clusters of unequal size: the standard error of sum(s) / sum(n) is sqrt(sum((s - m n)^2)) / sum(n).
    stream = np.random.default_rng(3)
    sizes = stream.integers(1, 6, size=300)
    clusters = [str(i) for i, size in enumerate(sizes) for _ in range(size)]
    values = stream.random(len(clusters))
    index = np.array([int(name) for name in clusters])
    mean = values.mean()
    error = np.sqrt((np.bincount(index, values - mean) ** 2).sum()) / len(values)
    interval = mean_interval(values, clusters, resamples=4000, key=KEY)
    assert interval == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.12 * error)


def test_mean_interval_is_independent_of_the_order():
    values = np.array([0.0, 1.0, 1.0, 0.25, 0.5, 1.0])
    clusters = ["a", "b", "c", "a", "b", "d"]
    order = [3, 1, 5, 0, 2, 4]
    straight = mean_interval(values, clusters, resamples=500, key=KEY)
    shuffled = mean_interval(values[order], [clusters[i] for i in order], resamples=500, key=KEY)
    assert straight == pytest.approx(shuffled, abs=1e-12)


def test_mean_interval_depends_on_the_key():
    values, clusters = np.linspace(0, 1, 40) ** 2, [str(i) for i in range(40)]
    first = mean_interval(values, clusters, resamples=200, key=KEY)
    assert first == mean_interval(values, clusters, resamples=200, key=KEY)
    assert first != mean_interval(values, clusters, resamples=200, key=("test", 1))


def test_mean_interval_is_independent_of_the_block_size(monkeypatch):
    values, clusters = np.linspace(0, 1, 30), [str(i) for i in range(30)]
    whole = mean_interval(values, clusters, resamples=101, key=KEY)
    monkeypatch.setattr("spa3d.metrics.intervals.BLOCK", 30 * 7)
    assert mean_interval(values, clusters, resamples=101, key=KEY) == whole


def test_unanimous_interval_matches_wilson():
    # Wilson, 24 of 24: 24 / (24 + 3.841) = 0.8620.
    ones = mean_interval(np.ones(48), [str(i // 2) for i in range(48)], resamples=100, key=KEY)
    assert ones == pytest.approx((0.8620, 1.0), abs=1e-4)
    assert unanimous_interval(0.0, 24) == pytest.approx((0.0, 0.1380), abs=1e-4)


def test_paired_interval_of_one_and_of_two_unchanged_records():
    # Drawn from (0, +1, -1), three of three: all are -1 in 1/27 = 3.7 % of the cases, more than 2.5 %.
    assert paired_interval(np.zeros(1), ["a"], resamples=4000, key=KEY) == (-1.0, 1.0)
    # Four of (0, 0, +1, -1): the sum is -4 in 0.4 %, -3 in 3.1 % of the cases.
    assert paired_interval(np.zeros(2), ["a", "b"], resamples=4000, key=KEY) == (-0.75, 0.75)


@pytest.mark.parametrize(("up", "excludes_zero"), [(4, False), (5, False), (6, True), (7, True)])
def test_paired_interval_agrees_with_the_sign_test(up, excludes_zero):
    # `up` of 400 records changed, all for the better: the sign test gives 2 / 2^up, 0.0625 for 5 and 0.031 for 6.
    differences, names = np.array([1.0] * up + [0.0] * (400 - up)), [f"{i:03d}" for i in range(400)]
    low, high = paired_interval(differences, names, resamples=4000, key=KEY)
    assert low < up / 400 < high
    assert (low > 0) is excludes_zero
    assert (sign_flip_p(differences, names, resamples=4000, key=KEY) < 0.05) is excludes_zero


def test_paired_interval_matches_bonett_and_price():
    # 30 up, 10 down of 200: (31 - 11) / 202 -+ 1.96 sqrt((42 / 202 - (20 / 202)^2) / 202) = 0.0376, 0.1604.
    differences = np.array([1.0] * 30 + [-1.0] * 10 + [0.0] * 160)
    interval = paired_interval(differences, [f"{i:03d}" for i in range(200)], resamples=8000, key=KEY)
    assert interval == pytest.approx((0.0376, 0.1604), abs=0.004)


def test_paired_interval_false_alarms_are_rare():
    names, alarms = [f"{i:03d}" for i in range(200)], 0
    for trial in range(200):
        draws = np.random.default_rng(trial).random(200)
        differences = (draws < 0.02).astype(float) - (draws > 0.98)
        low, high = paired_interval(differences, names, resamples=300, key=("alarm", trial))
        alarms += low > 0 or high < 0
    assert alarms <= 10  # 5 % of 200


@pytest.mark.parametrize(
    ("differences", "clusters", "p"),
    [
        ([1, 1, 1], ["a", "b", "c"], 2 / 8),  # only +++ and --- reach 3
        ([1, 1, -1], ["a", "b", "c"], 1.0),  # every pattern reaches 1
        ([1, 1, 1], ["a", "a", "b"], 2 / 4),  # sums 2 and 1: +-3 of the four patterns
        ([1, -1, 1], ["a", "a", "b"], 2 / 2),  # a cancels, b alone may flip
        ([0, 0], ["a", "b"], 1.0),
        ([0.1, 0.2, 0.3, 0.0], ["a", "b", "c", "d"], 2 / 8),
    ],
)
def test_sign_flip_p_exact(differences, clusters, p):
    assert sign_flip_p(np.array(differences, dtype=float), clusters, resamples=2000, key=KEY) == pytest.approx(p)


def test_sign_flip_p_sampled_matches_the_sign_test():
    # 40 clusters moved by +-1, 27 up and 13 down: the sign test gives 2 P(X >= 27), X ~ B(40, 1/2) = 0.0385.
    differences = np.array([1.0] * 27 + [-1.0] * 13)
    p = sign_flip_p(differences, [str(i) for i in range(40)], resamples=20000, key=KEY)
    assert p == pytest.approx(0.0385, abs=0.005)


def test_sign_flip_p_sampled_is_never_zero():
    assert sign_flip_p(np.ones(60), [str(i) for i in range(60)], resamples=999, key=KEY) == pytest.approx(1 / 1000)


def test_intervals_reject_values_without_clusters():
    with pytest.raises(ValueError, match="one cluster per value"):
        mean_interval(np.ones(2), ["a"], resamples=100, key=KEY)
    with pytest.raises(ValueError, match="at least one"):
        sign_flip_p(np.array([]), [], resamples=100, key=KEY)
