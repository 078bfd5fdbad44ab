"""Means over seeds and Holm's correction, computed by hand."""

import numpy as np
import pytest

from spa3d.comparison import document
from spa3d.comparison.results import QuestionValues
from spa3d.comparison.scores import average_over_seeds, compute_spread, estimate_difference


def column(values, ids="abcd"):
    names = np.array(list(ids[: len(values)]))
    return QuestionValues(names, names, np.array(values, dtype=float))


def test_average_over_seeds_by_question():
    joint = average_over_seeds([column([1, 0, 0, 1]), column([0, 0, 1, 1])])
    assert joint.values.tolist() == [0.5, 0.0, 0.5, 1.0]


def test_average_over_seeds_keeps_common_questions():
    joint = average_over_seeds([column([1, 0, 1]), column([1, 1], ids="bc")])
    assert joint.ids.tolist() == ["b", "c"]
    assert joint.values.tolist() == [0.5, 1.0]


def test_subtract_pairs_by_question():
    moved = column([1, 1, 0]).subtract(column([0, 1], ids="cb"[::-1]))
    assert (moved.ids.tolist(), moved.values.tolist()) == (["b", "c"], [1.0, -1.0])


def test_estimate_difference_lists_every_seed():
    result = estimate_difference([column([1, 0, 0, 0]), None, column([1, 1, 0, 0])], bootstrap=200, key=("x",))
    assert result.mean == 0.375
    assert result.seeds == (0.25, None, 0.5)
    assert result.ends == (0.25, 0.5)
    assert result.ci95[0] < 0.375 < result.ci95[1]


def test_estimate_difference_interval_is_independent_of_the_number_of_seeds():
    one = estimate_difference([column([1, 0, 0, 1])], bootstrap=500, key=("x",))
    three = estimate_difference([column([1, 0, 0, 1])] * 3, bootstrap=500, key=("x",))
    assert one.ci95 == three.ci95


def test_estimate_difference_has_a_detectable_effect():
    wide = estimate_difference([column([0.0] * 4)], bootstrap=500, key=("x",))
    assert 0 < wide.mde <= 1
    scaled = estimate_difference([column([0.0] * 4)], bootstrap=500, key=("x",), reach=2.0)
    assert scaled.mde == pytest.approx(2 * wide.mde, abs=2e-6)


def test_compute_spread_and_estimate_difference_without_values():
    assert compute_spread([None, None]) is None
    assert estimate_difference([None], bootstrap=200, key=("x",)) is None


@pytest.mark.parametrize(
    ("span", "p", "seeds", "side", "lucky"),
    [
        ((0.01, 0.05), 0.01, (0.02, 0.04), 1, False),
        ((-0.05, -0.01), 0.01, (-0.02, None), -1, False),
        ((0.01, 0.05), 0.06, (0.02, 0.04), 0, True),
        ((0.01, 0.05), 0.01, (-0.01, 0.07), 0, True),
        ((-0.01, 0.05), 0.01, (0.02, 0.04), 0, False),
    ],
)
def test_tested_side_needs_interval_holm_and_all_seeds(span, p, seeds, side, lucky):
    result = document.TestedEstimate(mean=0.03, seeds=seeds, ci95=span, p=p, p_holm=p)
    assert (result.side, result.is_unconfirmed) == (side, lucky)
