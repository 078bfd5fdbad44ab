"""Verdict in the first line of a report."""

import json

import pytest

from spa3d.rendering.numbers import MINUS
from spa3d.report.document import Document
from spa3d.report.verdict import describe_cloud_gain, judge_run


@pytest.fixture
def with_changes(document):
    """Builder of documents with given intervals of change and warnings."""

    def make(main, counterfactual=(-0.01, 0.01), warnings=()):
        report = json.loads(document(warnings=warnings).json_text())
        change = report["benchmarks"]["choice"]["change"]
        change.update(score=sum(main) / 2, ci95=main)
        change["counterfactual"].update(score=sum(counterfactual) / 2, ci95=counterfactual)
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
    evidence = f"choice moved by {MINUS}0.2 points (95 % interval {MINUS}1.0 to +0.6)"
    assert result.sentence == f"Post-training with spa made no measurable change: {evidence}."
    assert judge_run(with_changes((-0.01, 0.0))).tone == "even"


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
    assert "no measurable difference" in describe_cloud_gain(document(rows={"choice": (same, same)}))


def test_judge_run_blind_run(document, rows):
    blind = [row for row in rows(0.8) if row["view"] == "blind"]
    report = document(rows={"choice": (blind, blind)})
    assert "(blind: the model never saw a cloud)" in judge_run(report).claim
    assert describe_cloud_gain(report) == ""
