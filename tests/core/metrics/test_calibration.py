"""Calibration of picked options, computed by hand."""

from math import log

import numpy as np
import pytest

from spa3d.metrics.calibration import measure_calibration, option_probabilities


def logs(*probabilities):
    return [log(each) if each else -np.inf for each in probabilities]


def test_option_probabilities_sum_to_one():
    assert option_probabilities([-1000.0, -1000.0 + log(3)]) == pytest.approx([0.25, 0.75])
    assert option_probabilities(logs(0.02, 0.06)) == pytest.approx([0.25, 0.75]), "only the offered options count"
    assert option_probabilities([-3.0, -np.inf]).tolist() == [1.0, 0.0]


def test_measure_calibration_by_hand():
    # Confidences 0.8 (right), 0.7 (wrong), 0.8 (wrong); bins of 1/15: 0.8 in bin 12, 0.7 in bin 11.
    answers = [logs(0.8, 0.1, 0.1, 0.0), logs(0.1, 0.7, 0.1, 0.1), logs(0.1, 0.1, 0.0, 0.8)]
    result = measure_calibration(answers, [0, 0, 1])
    assert result.ece == pytest.approx((2 * abs(0.5 - 0.8) + 0.7) / 3)
    # 0.04 + 0.01 + 0.01; 0.81 + 0.49 + 0.01 + 0.01; 0.01 + 0.81 + 0.64
    assert result.brier == pytest.approx((0.06 + 1.32 + 1.46) / 3)
    assert result.n == 3
    assert [(each.confidence, each.accuracy, each.n) for each in result.bins] == [
        (pytest.approx(0.7), 0.0, 1),
        (pytest.approx(0.8), 0.5, 2),
    ]


def test_measure_calibration_of_equal_options_and_of_certainty():
    even = measure_calibration([[-2.0] * 4] * 4, [0, 1, 2, 3])
    assert (even.ece, even.brier) == (pytest.approx(0.0), pytest.approx(0.75))  # the first is picked: 1 of 4 right
    assert measure_calibration([logs(1, 0, 0, 0)], [0])[:2] == (0.0, 0.0)
    assert measure_calibration([logs(1, 0, 0, 0)], [3])[:2] == (1.0, 2.0)


def test_measure_calibration_takes_options_of_any_number():
    assert measure_calibration([logs(0.5, 0.5), logs(0.2, 0.3, 0.5)], [0, 2]).n == 2


def test_measure_calibration_needs_answers():
    with pytest.raises(ValueError, match="at least one"):
        measure_calibration([], [])
