"""McNemar's test and minimum detectable effects, computed by hand and by simulation."""

import numpy as np
import pytest

from spa3d.metrics.intervals import paired_estimate, paired_interval, sign_flip_p
from spa3d.metrics.paired_tests import detectable_effect, mcnemar, mcnemar_p, power_factor

KEY = ("test", 0)


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [
        (0, 0, 1.0),
        (0, 1, 1.0),  # 2 * 1/2
        (0, 6, 2 / 64),
        (9, 1, 2 * (1 + 10) / 1024),
        (7, 2, 2 * (1 + 9 + 36) / 512),
        (5, 5, 1.0),  # 2 * P(X <= 5) is above 1
    ],
)
def test_mcnemar_p_by_hand(gained, lost, p):
    assert mcnemar_p(gained, lost) == pytest.approx(p)
    assert mcnemar_p(lost, gained) == pytest.approx(p)


def test_mcnemar_p_of_many_discordant_questions():
    # Normal approximation with continuity: (|10,200 - 9,800| - 1)^2 / 20,000 = 7.96, p = 0.00478.
    assert mcnemar_p(10_200, 9_800) == pytest.approx(0.00478, abs=2e-5)


def test_mcnemar_counts_discordant_questions():
    first, second = np.array([1.0, 1, 0, 0, 1, 0]), np.array([1.0, 0, 1, 1, 1, 0])
    assert mcnemar(first, second) == (2, 1, 1.0)
    assert mcnemar(first, first) == (0, 0, 1.0)


def test_mcnemar_needs_right_and_wrong():
    assert mcnemar(np.array([0.5, 1]), np.array([0.5, 1])) is None


@pytest.mark.parametrize(("gained", "lost"), [(6, 0), (7, 2), (4, 4)])
def test_mcnemar_is_the_sign_flip_test_of_independent_questions(gained, lost):
    differences = np.array([1.0] * gained + [-1.0] * lost + [0.0] * 20)
    names = [str(number) for number in range(len(differences))]
    p = sign_flip_p(differences, names, resamples=2000, key=KEY)
    assert p == pytest.approx(mcnemar_p(gained, lost))


def test_mcnemar_rejects_too_often_where_questions_come_in_clusters():
    # 30 objects of 5 questions that all change together, without an effect: the reason for the sign flips beside it.
    names = np.repeat([f"{i:02d}" for i in range(30)], 5)
    alarms = {"mcnemar": 0, "sign flips": 0}
    for trial in range(200):
        moved = np.repeat(np.random.default_rng(trial).choice((-1.0, 0.0, 1.0), size=30, p=(0.2, 0.6, 0.2)), 5)
        alarms["mcnemar"] += mcnemar_p(int((moved > 0).sum()), int((moved < 0).sum())) < 0.05
        alarms["sign flips"] += sign_flip_p(moved, names, resamples=300, key=("alarm", trial)) < 0.05
    assert alarms["mcnemar"] > 40
    assert alarms["sign flips"] <= 14


def test_power_factor_by_hand():
    assert power_factor() == pytest.approx(1.959964 + 0.841621, abs=1e-6)
    assert power_factor(10) == pytest.approx(2.807034 + 0.841621, abs=1e-5)  # 99.75 % point


def test_detectable_effect_is_2_8_standard_errors():
    assert detectable_effect(0.01) == pytest.approx(0.028016, abs=1e-6)
    assert detectable_effect(0.9) == 1.0
    assert detectable_effect(0.9, largest=2.0) == 2.0


def test_paired_estimate_error_by_hand():
    # 30 up, 10 down of 200, two added at 0.1 +- 1: sqrt((42 / 202 - 0.1^2) / 202) = 0.0313, widened by 1.0087.
    differences = np.array([1.0] * 30 + [-1.0] * 10 + [0.0] * 160)
    names = [f"{i:03d}" for i in range(200)]
    estimate = paired_estimate(differences, names, resamples=8000, key=KEY)
    assert estimate.error == pytest.approx(0.0313 * 1.0087, rel=0.02)
    assert estimate.interval == paired_interval(differences, names, resamples=8000, key=KEY)
    same = paired_estimate(np.zeros(200), names, resamples=2000, key=KEY)
    assert same.error > 0.005, "unchanged answers are no proof that nothing can change"


def test_detectable_effect_is_found_in_80_percent_of_repetitions():
    # 80 objects of 1 to 7 questions, whose answers change together: the effect stated by one sample without an
    # effect, averaged, is added to others; 76 to 86 % of 400 of their intervals exclude 0.
    sizes = np.random.default_rng(0).integers(1, 8, size=80)
    names = np.repeat([f"{i:02d}" for i in range(80)], sizes)

    def draw(trial, effect):
        stream = np.random.default_rng(trial)
        objects = np.repeat(stream.choice((-0.4, 0.4), size=80), sizes)
        rises = 0.3 + (objects + effect) / 2  # 0.1 to 0.6, so that nothing is cut off
        falls = 0.3 - (objects + effect) / 2
        draws = stream.random(len(names))
        return (draws < rises).astype(float) - (draws > 1 - falls)

    stated = [
        detectable_effect(paired_estimate(draw(trial, 0.0), names, resamples=300, key=("null", trial)).error)
        for trial in range(50)
    ]
    effect = float(np.mean(stated))
    hits = 0
    for trial in range(1000, 1400):
        low, high = paired_interval(draw(trial, effect), names, resamples=300, key=("effect", trial))
        hits += low > 0 or high < 0
    assert 0.76 <= hits / 400 <= 0.86, (effect, hits / 400)
