"""Verdict in the first line of a report."""

import json

import numpy as np
import pytest

from spa3d.metrics.intervals import paired_interval, sign_flip_p
from spa3d.rendering.numbers import MINUS
from spa3d.report.document import Document
from spa3d.report.verdict import describe_cloud_gain, judge_run


@pytest.fixture
def with_changes(document):
    """Builder of documents with given intervals of change and warnings."""

    def make(main, counterfactual=(-0.01, 0.01), warnings=(), p=(0.001, 0.001)):
        report = json.loads(document(warnings=warnings).json_text())
        change = report["benchmarks"]["choice"]["change"]
        change.update(score=sum(main) / 2, ci95=main, p=p[0], mde=0.0114)
        change["counterfactual"].update(score=sum(counterfactual) / 2, ci95=counterfactual, p=p[1])
        change["flip"].update(score=-0.5, ci95=[-0.6, -0.4])
        return Document.model_validate(report)

    return make


def test_judge_run_hurt_if_a_score_fell(with_changes):
    result = judge_run(with_changes((-0.171, -0.133)))
    assert result.tone == "hurt"
    assert result.sentence == (
        f"Post-training with spa hurt: choice fell by 15.2 points (95 % interval {MINUS}17.1 to {MINUS}13.3)."
    )


def test_judge_run_hurt_if_only_the_counterfactual_score_fell(with_changes):
    result = judge_run(with_changes((0.01, 0.03), counterfactual=(-0.05, -0.01)))
    assert result.tone == "hurt"
    assert result.sentence == (
        "Post-training with spa hurt: "
        f"choice (counterfactual) fell by 3.0 points (95 % interval {MINUS}5.0 to {MINUS}1.0); "
        "choice rose by 2.0 points (95 % interval +1.0 to +3.0)."
    )


def test_judge_run_diverged_whatever_was_measured(document, rows):
    sides = {"choice": (rows(0.5), rows(0.9))}
    result = judge_run(document(rows=sides, status="diverged", reason="the loss of step 3 is nan", warnings=["fell"]))
    assert (result.tone, result.claim) == ("hurt", "This run diverged")
    assert result.evidence[0] == "the loss of step 3 is nan"
    nothing = judge_run(document(rows={"choice": ([], [])}, status="diverged", reason="no"))
    assert nothing.sentence == "This run diverged: no; nothing was measured."


def test_judge_run_hurt_if_only_the_watchdog_warned(with_changes):
    result = judge_run(with_changes((-0.01, 0.02), warnings=["held-out log p fell"]))
    assert result.tone == "hurt"
    assert result.sentence.startswith("Post-training with spa hurt: the watchdog warned")
    assert "choice moved by +0.5 points" in result.sentence


def test_judge_run_helped(with_changes):
    result = judge_run(with_changes((0.002, 0.034)))
    assert (result.tone, result.claim) == ("helped", "Post-training with spa helped")
    assert result.evidence == ("choice rose by 1.8 points (95 % interval +0.2 to +3.4)",)


def test_judge_run_no_change_if_the_interval_contains_zero(with_changes):
    result = judge_run(with_changes((-0.010, 0.006)))
    evidence = f"choice moved by {MINUS}0.2 points (95 % interval {MINUS}1.0 to +0.6; could have seen ±1.1 points)"
    assert result.sentence == f"Post-training with spa made no measurable change: {evidence}."
    assert judge_run(with_changes((-0.01, 0.0))).tone == "even"


def test_judge_run_of_a_report_without_detectable_effects(with_changes):
    report = json.loads(with_changes((-0.010, 0.006)).json_text())
    del report["benchmarks"]["choice"]["change"]["mde"]
    result = judge_run(Document.model_validate(report))
    assert result.evidence == (f"choice moved by {MINUS}0.2 points (95 % interval {MINUS}1.0 to +0.6)",)


def test_judge_run_corrects_for_the_number_of_scores(with_changes):
    # Holm for two scores: the smaller p counts twice, 0.03 becomes 0.06 and 0.02 becomes 0.04.
    alone = judge_run(with_changes((-0.03, -0.01), p=(0.03, 0.5)))
    assert alone.tone == "even"
    assert alone.sentence == (
        "Post-training with spa made no measurable change: choice fell by 2.0 points "
        f"(95 % interval {MINUS}3.0 to {MINUS}1.0), not significant among 2 scores."
    )
    assert judge_run(with_changes((-0.03, -0.01), p=(0.02, 0.5))).tone == "hurt"


def test_judge_run_names_a_fall_that_does_not_count_beside_one_that_does(with_changes):
    result = judge_run(with_changes((0.01, 0.03), counterfactual=(-0.05, -0.01), p=(0.01, 0.06)))
    assert result.tone == "helped"
    assert result.evidence[1].endswith("not significant among 2 scores")


def test_judge_run_false_alarms_are_rare(document):
    # Six scores of 100 records, of which 4 % change for no reason: at most 5 % of 300 runs may claim anything.
    report = json.loads(document().json_text())
    claims, names = 0, [f"{i:03d}" for i in range(100)]
    for trial in range(300):
        stream = np.random.default_rng(trial)
        report["benchmarks"] = {f"b{i}": make_change(report, stream, names, (trial, i)) for i in range(6)}
        claims += judge_run(Document.model_validate(report)).tone != "even"
    assert claims <= 15


def make_change(report, stream, names, key):
    """Make a benchmark block whose change is drawn without an effect."""
    draws = stream.random(len(names))
    moved = (draws < 0.02).astype(float) - (draws > 0.98)
    interval = paired_interval(moved, names, resamples=300, key=key)
    p = sign_flip_p(moved, names, resamples=300, key=key)
    block = report["benchmarks"].get("choice") or next(iter(report["benchmarks"].values()))
    change = {"score": moved.mean(), "ci95": interval, "blind": 0.0, "p": p, "kinds": {}}
    return {"before": block["before"], "after": block["after"], "change": change}


def test_judge_run_interrupted_run(document, rows):
    result = judge_run(document(rows={"choice": (rows(0.8), [])}, status="interrupted"))
    assert (result.tone, result.claim) == ("open", "This run is interrupted")
    assert result.sentence.startswith("This run is interrupted: choice was ")
    assert "before post-training" in result.sentence
    assert (
        judge_run(document(rows={}, status="interrupted")).sentence == "This run is interrupted: nothing was measured."
    )


def test_judge_run_from_rows(document):
    assert judge_run(document(0.9, 0.5)).tone == "hurt"
    assert judge_run(document(0.5, 0.9)).tone == "helped"
    assert judge_run(document(0.8, 0.8)).tone == "even"


def test_describe_cloud_gain(document, rows):
    sentence = describe_cloud_gain(document(0.9, 0.9))
    assert sentence.startswith("The choice score is ")
    assert " points higher (95 % interval " in sentence
    same = [row | {"value": float(row["kind"] == "size")} for row in rows(0.5)]
    even = describe_cloud_gain(document(rows={"choice": (same, same)}))
    assert "no measurable difference" in even
    assert "; could have seen ±" in even


def test_judge_run_blind_run(document, rows):
    blind = [row for row in rows(0.8) if row["view"] == "blind"]
    report = document(rows={"choice": (blind, blind)})
    assert "(blind: the model never saw a cloud)" in judge_run(report).claim
    assert describe_cloud_gain(report) == ""
