"""Figures of report.json from a few rows, counted by hand."""

import numpy as np
import pytest

from spa3d.evaluation.summary import change, summarize
from spa3d.runtime.rng import keyed_generator

COLORS = ["red", "blue", "black", "white"]


def row(name, *, record="a", kind="color", view="clean", value=1.0, answer="red", **more):
    return {
        "id": name, "record": record, "kind": kind, "split": "test", "set": "test", "pair": None, "prompt": "?",
        "options": COLORS, "answer": answer, "view": view, "text": answer if value else "blue",
        "option_logp": [], "option_lengths": [], "value": value, "valid": True, "chance": 0.25,
    } | more  # fmt: skip


def both_views(name, clean, blind, **more):
    """A question in both views."""
    return [row(name, view="clean", value=clean, **more), row(name, view="blind", value=blind, **more)]


FOUR = [
    *both_views("q1", 1, 1, record="a", answer="red"),
    *both_views("q2", 1, 0, record="b", answer="red"),
    *both_views("q3", 0, 0, record="c", answer="blue", valid=False),
    *both_views("q4", 1, 0, record="d", answer="big", kind="size", options=["small", "big"], chance=0.5),
]


def test_summarize_scores():
    result = summarize(FOUR, bootstrap=200, seed=0)
    assert result["score"] == 0.75
    assert result["blind"] == 0.25
    assert result["chance"] == pytest.approx((3 * 0.25 + 0.5) / 4)
    assert result["invalid"] == 0.25
    assert (result["n"], result["records"]) == (4, 4)
    assert result["gap"]["score"] == 0.5
    assert result["kinds"]["color"]["score"] == pytest.approx(2 / 3, abs=1e-6)
    assert result["kinds"]["color"]["n"] == 3
    assert result["kinds"]["size"]["score"] == 1
    assert "counterfactual" not in result
    assert "flip" not in result
    assert "blind_only" not in result


def test_summarize_majority_among_the_options():
    rows = [
        *both_views("q1", 1, 1, answer="red"),
        *both_views("q2", 1, 1, answer="red"),
        *both_views("q3", 1, 1, answer="blue"),  # red is offered and wrong
        *both_views("q4", 1, 1, answer="blue", options=["green", "blue"]),  # red is not offered, blue comes next
        *both_views("q5", 1, 1, answer="two", kind="count", options=None),
        *both_views("q6", 1, 1, answer="four", kind="count", options=None),
        *both_views("q7", 1, 1, answer="four", kind="count", options=None),
    ]
    result = summarize(rows, bootstrap=100, seed=0)
    assert result["majority"] == pytest.approx((3 + 2) / 7, abs=1e-6)
    assert result["kinds"]["color"]["majority"] == 0.75
    assert result["kinds"]["count"]["majority"] == pytest.approx(2 / 3, abs=1e-6)


def test_summarize_length_normalized_score():
    # By sum the second option wins (-2 > -3), per token the first (-1 > -2): one question turns right, one wrong.
    scored = {"option_logp": [-3.0, -2.0], "option_lengths": [3, 1], "options": ["red", "blue"]}
    rows = [*both_views("q1", 0, 0, answer="red", **scored), *both_views("q2", 1, 0, answer="blue", **scored)]
    rows += both_views("q3", 0, 0, answer="red", **scored)
    result = summarize(rows, bootstrap=100, seed=0)
    assert result["score"] == pytest.approx(1 / 3, abs=1e-6)
    assert result["normalized"] == pytest.approx(2 / 3, abs=1e-6)
    assert "normalized" not in summarize(FOUR, bootstrap=100, seed=0)


def test_summarize_pairs():
    def member(name, pair, clean, blind, record):
        return both_views(name, clean, blind, pair=pair, record=record, set="flip")

    rows = [
        *FOUR,
        *member("p1a", "p1", 1, 1, "a"), *member("p1b", "p1", 1, 0, "a-twin"),
        *member("p2a", "p2", 1, 0, "b"), *member("p2b", "p2", 0, 1, "b-twin"),
        *both_views("c1", 1, 0, set="counterfactual"), *both_views("c2", 0, 0, set="counterfactual"),
    ]  # fmt: skip
    result = summarize(rows, bootstrap=200, seed=0)
    assert (result["flip"]["score"], result["flip"]["blind"], result["flip"]["n"]) == (0.5, 0.0, 2)
    assert result["flip"]["chance"] == 0.0625
    assert (result["counterfactual"]["score"], result["counterfactual"]["n"]) == (0.5, 2)
    assert result["score"] == 0.75, "the other sets must not leak into the main score"
    rows.pop()
    with pytest.raises(ValueError, match="one view only"):
        summarize(rows, bootstrap=200, seed=0)
    half = [*FOUR, *member("p1a", "p1", 1, 1, "a")]
    with pytest.raises(ValueError, match="1 members instead of 2"):
        summarize(half, bootstrap=200, seed=0)


def test_summarize_blind_run():
    rows = [line for line in FOUR if line["view"] == "blind"]
    result = summarize(rows, bootstrap=200, seed=0)
    assert result["blind_only"] is True
    assert result["score"] == result["blind"] == 0.25
    assert "gap" not in result


def test_summarize_rejects_rows_without_questions():
    with pytest.raises(ValueError, match="reported split"):
        summarize([], bootstrap=200, seed=0)


def test_change_is_paired():
    after = [*both_views("q1", 0, 1, record="a"), *both_views("q2", 0, 1, record="b"),
             *both_views("q3", 0, 0, record="c"), *both_views("q4", 1, 0, record="d", kind="size")]  # fmt: skip
    moved = change(FOUR, list(reversed(after)), bootstrap=2000, seed=0)
    assert moved["score"] == -0.5  # q1 and q2 lost
    assert moved["blind"] == 0.25  # q2 gained
    assert moved["p"] == 0.5  # two records moved: -- and ++ of the four patterns
    # Six drawn of (-1, -1, 0, 0, +0.5, -1.5): the mean is 1/12 at 97.5 %. Four groups: 3.159 / 1.96 * sqrt(4 / 3).
    assert moved["ci95"] == pytest.approx([-1, (1 / 12 + 1 / 2) * 1.861 - 1 / 2], abs=1e-3)
    assert moved["kinds"]["size"]["score"] == 0
    with pytest.raises(ValueError, match="different questions"):
        change(FOUR, after[2:], bootstrap=100, seed=0)


def test_change_has_discordant_questions_and_a_detectable_effect():
    after = [*both_views("q1", 0, 1, record="a"), *both_views("q2", 0, 1, record="b"),
             *both_views("q3", 1, 0, record="c"), *both_views("q4", 1, 0, record="d", kind="size")]  # fmt: skip
    moved = change(FOUR, after, bootstrap=2000, seed=0)
    assert moved["mcnemar"] == {"gained": 1, "lost": 2, "p": 1.0}
    assert moved["kinds"]["size"]["mcnemar"] == {"gained": 0, "lost": 0, "p": 1.0}
    # Six clusters (-1, -1, 1, 0, and -0.25 +- 1): sqrt(((3 + 2) / 6 - 0.25^2 ...) / 6), widened by 1.861, times 2.8.
    values = np.array([-1, -1, 1, 0, 0.75, -1.25])
    assert moved["mde"] == pytest.approx(min(1, 2.8016 * values.std() / 6**0.5 * 1.861), rel=0.03)
    assert moved["mde"] <= 1


def test_change_of_graded_answers_has_no_mcnemar():
    half = [line | {"value": line["value"] / 2} for line in FOUR]
    moved = change(FOUR, half, bootstrap=200, seed=0)
    assert "mcnemar" not in moved
    assert 0 < moved["mde"] <= 1


def test_summarize_calibration_on_request():
    # Two options: 0.75 for the first. q1 right, q2 wrong, q3 (counterfactual) right; blind rows count apart.
    scored = {"option_logp": [-1.0, -1.0 - np.log(3)], "options": ["red", "blue"], "answer": "red"}
    rows = [*both_views("q1", 1, 0, **scored), *both_views("q2", 0, 1, **(scored | {"answer": "blue"}))]
    rows += both_views("q3", 1, 1, set="counterfactual", **scored)
    rows += both_views("q4", 0, 0, kind="free", options=None)
    rows += both_views("q5", 0, 0, kind="free", option_logp=[np.nan, -1.0], options=["red", "blue"], valid=False)
    result = summarize(rows, bootstrap=100, seed=0, calibration=True)
    expected = {"ece": 0.25, "brier": (0.125 + 1.125) / 2, "n": 2, "bins": [[0.75, 0.5, 2]]}
    assert result["calibration"] == result["kinds"]["color"]["calibration"] == expected
    assert result["counterfactual"]["calibration"]["brier"] == 0.125
    assert result["blind_calibration"] == expected, "both views have the same log p"
    assert not {"calibration", "blind_calibration"} & result["kinds"]["free"].keys()
    assert "calibration" not in summarize(rows, bootstrap=100, seed=0)


def test_change_without_differences():
    moved = change(FOUR, FOUR, bootstrap=200, seed=0)
    assert (moved["score"], moved["blind"], moved["p"]) == (0, 0, 1)
    assert moved["ci95"][0] < 0 < moved["ci95"][1]


def test_change_of_the_counterfactual_set():
    before = [*FOUR, *both_views("c1", 1, 0, set="counterfactual")]
    after = [*FOUR, *both_views("c1", 0, 0, set="counterfactual")]
    moved = change(before, after, bootstrap=200, seed=0)
    assert moved["counterfactual"]["score"] == -1
    with pytest.raises(ValueError, match="has the sets"):
        change(before, FOUR, bootstrap=200, seed=0)


def test_summarize_is_independent_of_the_order_of_rows():
    stream = keyed_generator("rows")
    rows = []
    for i in range(60):
        rows += both_views(f"q{i}", int(stream.random() < 0.7), int(stream.random() < 0.4), record=f"r{i // 3}")
    shuffled = [rows[i] for i in stream.permutation(len(rows))]
    assert summarize(rows, bootstrap=300, seed=1) == summarize(shuffled, bootstrap=300, seed=1)
    assert summarize(rows, bootstrap=300, seed=1)["ci95"] != summarize(rows, bootstrap=300, seed=2)["ci95"]


def table_row(name, value, **more):
    """A question answered by the table of training answers."""
    return row(name, view="text-table", value=value, **more)


def test_summarize_text_floor_is_the_best_of_text():
    # Blind 1/4, table 2/4; the usual color is red: q1 and q2 right, and "big" of q4: majority 3/4.
    rows = [*FOUR, table_row("q1", 1, record="a"), table_row("q2", 1, record="b")]
    rows += [table_row("q3", 0, record="c", answer="blue"), table_row("q4", 0, record="d", answer="big", kind="size")]
    result = summarize(rows, bootstrap=200, seed=0)
    assert result["text_floor"]["score"] == 0.75
    assert result["text_floor"]["source"] == "majority"
    assert result["worth"]["score"] == 0.0
    assert result["gap"]["score"] == 0.5


def test_summarize_text_floor_takes_the_table_where_it_is_best():
    rows = [
        *both_views("q1", 1, 0, record="a", answer="red"),
        *both_views("q2", 1, 0, record="b", answer="blue"),
        table_row("q1", 1, record="a"),
        table_row("q2", 1, record="b", answer="blue"),
    ]
    result = summarize(rows, bootstrap=200, seed=0)
    assert (result["text_floor"]["score"], result["text_floor"]["source"]) == (1.0, "text-table")
    assert result["worth"]["score"] == 0.0


def test_summarize_resamples_groups_of_look_alikes():
    # 40 records, right or wrong by group of 10: the interval of groups is that of four units.
    def make(grouped):
        return [
            view
            for i in range(40)
            for view in both_views(
                f"q{i:02d}", float(i < 20), 0, record=f"r{i}", **({"group": f"g{i // 10}"} if grouped else {})
            )
        ]

    by_record, by_group = (summarize(make(grouped), bootstrap=500, seed=0) for grouped in (False, True))
    assert by_record["ci95"] == pytest.approx([0.34, 0.66], abs=0.03)  # 0.5 -+ 1.96 sqrt(0.25 / 40) 1.04
    assert by_group["ci95"] == [0.0, 1.0]
    assert by_group["records"] == 40


def test_summarize_averages_measures_over_the_answers_that_have_them():
    rows = [
        *both_views("q1", 1, 1, record="a", measures={"false_facts": 0.5}),
        *both_views("q2", 1, 1, record="b", measures={"false_facts": 0.0}),
        *both_views("q3", 1, 1, record="c"),
    ]
    result = summarize(rows, bootstrap=100, seed=0)
    assert (result["measures"], result["blind_measures"]) == ({"false_facts": 0.25}, {"false_facts": 0.25})


def test_summarize_and_change_put_intervals_around_measures_of_any_range():
    def make(clean, blind=0.5):
        sides = (("clean", clean), ("blind", blind))
        return [
            row(
                f"q{i}",
                view=view,
                value=0.5,
                record=f"r{i}",
                measures={"cider_d": size * (i % 2), "cosine": -size / 10},
            )
            for i in range(40)
            for view, size in sides
        ]

    before, after = make(4.0), make(8.0)
    result = summarize(before, bootstrap=500, seed=0)
    assert (result["measures"]["cider_d"], result["blind_measures"]["cider_d"]) == (2.0, 0.25)
    low, high = result["measure_ci95"]["cider_d"]
    assert low == pytest.approx(2 - 1.96 * 2 / 40**0.5, abs=0.15)  # half of the values 0, half 4
    assert high == pytest.approx(2 + 1.96 * 2 / 40**0.5, abs=0.15)
    low, high = result["measure_ci95"]["cosine"]
    assert -0.4 <= low <= -0.4 + 1e-6 < high < -0.2  # all equal: up to Wilson's bound of the range -0.4 to 1
    moved = change(before, after, bootstrap=500, seed=0)["measures"]
    assert moved["cider_d"]["score"] == 2.0
    assert 0 < moved["cider_d"]["ci95"][0] < 2.0 < moved["cider_d"]["ci95"][1] < 3.5
    assert moved["cosine"]["score"] == -0.4


def test_change_of_a_measure_counts_answers_that_have_it_on_both_sides():
    def make(*values):
        return [
            each
            for i, value in enumerate(values)
            for each in both_views(
                f"q{i}", 1, 1, record=f"r{i}", measures={} if value is None else {"false_facts": value}
            )
        ]

    moved = change(make(0.5, 0.0, None, 1.0), make(1.0, None, 0.0, 1.0), bootstrap=100, seed=0)["measures"]
    assert moved["false_facts"]["score"] == 0.25
    assert change(make(None, None), make(0.1, None), bootstrap=100, seed=0)["measures"] == {}


def test_unseen_is_a_part_of_the_reported_split():
    rows = [one | {"unseen": one["record"] in ("a", "b")} for one in FOUR]
    result = summarize(rows, bootstrap=200, seed=0)
    assert (result["score"], result["n"]) == (0.75, 4)
    assert (result["unseen"]["score"], result["unseen"]["blind"], result["unseen"]["n"]) == (1.0, 0.5, 2)
    worse = [one | {"value": 0.0} if one["record"] == "a" else one for one in rows]
    assert change(rows, worse, bootstrap=200, seed=0)["unseen"]["score"] == -0.5
    everything = [one | {"unseen": True} for one in FOUR]
    assert "unseen" not in summarize(everything, bootstrap=200, seed=0)


def test_summarize_counts_pairs_of_questions_where_a_benchmark_asks_in_pairs():
    right = {"p0": (1, 1), "p1": (1, 0), "p2": (0, 0), "p3": (1, 1)}
    rows = [
        row(f"{pair}-{side}", view=view, value=float(value and view == "clean"), chance=0.2, record=f"{pair}-{side}")
        | {"pair": pair, "group": pair}
        for pair, values in right.items()
        for side, value in enumerate(values)
        for view in ("clean", "blind")
    ]
    result = summarize(rows, bootstrap=200, seed=0)
    assert (result["score"], result["blind"], result["n"], result["unit"]) == (0.5, 0, 4, "pair")
    assert result["chance"] == pytest.approx(0.04)
    assert change(rows, rows, bootstrap=200, seed=0)["score"] == 0


def test_summarize_refuses_half_a_pair():
    rows = [row("q", view=view, record="r") | {"pair": "p"} for view in ("clean", "blind")]
    with pytest.raises(ValueError, match="pair 'p' has 1 members instead of 2"):
        summarize(rows, bootstrap=200, seed=0)
