import numpy as np
import pytest

from spa3d.metrics.discrimination import auroc, auroc_change_interval, auroc_interval


def arrays(positives, negatives):
    scores = np.array([*positives, *negatives], dtype=float)
    return scores, np.arange(len(scores)) < len(positives)


class TestAuroc:
    def test_of_a_hand_worked_case_with_ties(self):
        # 3 beats 2, 1 and 1 (3 wins); 2 ties with 2 and beats 1 and 1 (2.5); 1 ties with 1 and 1 (1): 6.5 of 9
        assert auroc(*arrays([3, 2, 1], [2, 1, 1])) == pytest.approx(6.5 / 9)

    @pytest.mark.parametrize(
        ("positives", "negatives", "expected"),
        [([2, 3], [0, 1], 1), ([0, 1], [2, 3], 0), ([5, 5], [5, 5], 0.5), ([np.inf], [-np.inf, np.inf], 0.75)],
    )
    def test_of_the_extremes(self, positives, negatives, expected):
        assert auroc(*arrays(positives, negatives)) == expected

    def test_equals_the_share_of_won_comparisons(self):
        stream = np.random.default_rng(0)
        scores, positive = stream.integers(8, size=60).astype(float), stream.random(60) < 0.4
        wins = np.sign(scores[positive][:, None] - scores[~positive][None]) / 2 + 0.5
        assert auroc(scores, positive) == pytest.approx(wins.mean())

    @pytest.mark.parametrize(
        ("positives", "negatives", "message"),
        [([1], [], "both sides"), ([], [1], "both sides"), ([1], [np.nan], "NaN")],
    )
    def test_refuses_one_side_and_nan(self, positives, negatives, message):
        with pytest.raises(ValueError, match=message):
            auroc(*arrays(positives, negatives))


class TestAurocInterval:
    def test_is_that_of_a_bootstrap_by_hand(self):
        scores, positive = arrays([3, 1], [2, 0])
        clusters = ["a", "b", "a", "b"]
        # drawn (a, a): 3 over 2, 1.0; (b, b): 1 over 0, 1.0; (a, b), as observed: 3 of 4
        assert auroc_interval(scores, positive, clusters, resamples=400, key=("test",)) == (0.75, 1)

    def test_covers_the_truth_as_often_as_it_says(self):
        stream, inside = np.random.default_rng(1), 0
        for number in range(100):  # scores of one cluster share an offset, which cancels only within the cluster
            offset = stream.normal(size=40)
            scores = np.concatenate([offset + stream.normal(size=40) + 1, offset + stream.normal(size=40)])
            positive = np.arange(80) < 40
            clusters = np.tile(np.arange(40), 2).astype(str)
            low, high = auroc_interval(scores, positive, clusters, resamples=200, key=("cover", number))
            inside += low <= 0.6915 <= high  # the normal distribution at 1 / sqrt(4): both sides have variance 2
        assert 89 <= inside <= 100

    def test_of_a_perfect_score_is_no_point(self):
        scores, positive = arrays([2] * 10, [1] * 10)
        low, high = auroc_interval(scores, positive, [f"g{i % 10}" for i in range(20)], resamples=200, key=("test",))
        assert low == pytest.approx(1 - 3.841459 / 13.841459)
        assert high == 1

    def test_ignores_resamples_without_one_side(self):
        scores, positive = arrays([2, 3], [1, 2.5])
        low, high = auroc_interval(scores, positive, ["a", "b", "c", "d"], resamples=200, key=("test",))
        assert 0 <= low <= 0.75 <= high <= 1


class TestAurocChangeInterval:
    def test_of_paired_scores_is_narrower_than_that_of_one_score(self):
        stream = np.random.default_rng(2)
        positive, clusters = np.arange(200) < 100, np.tile(np.arange(100), 2).astype(str)
        before = stream.normal(size=200) + positive
        after = before + 0.01 * stream.normal(size=200)
        low, high = auroc_change_interval(before, after, positive, clusters, resamples=300, key=("test",))
        one = auroc_interval(before, positive, clusters, resamples=300, key=("test",))
        assert low <= auroc(after, positive) - auroc(before, positive) <= high
        assert high - low < (one.high - one.low) / 3

    def test_of_equal_scores_includes_0(self):
        scores, positive = arrays([1, 2, 3], [1, 0, 2])
        low, high = auroc_change_interval(scores, scores, positive, list("abcabc"), resamples=200, key=("test",))
        assert low < 0 < high
