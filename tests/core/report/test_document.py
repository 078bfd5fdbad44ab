"""Model of report.json: keys, their documentation, and rejected values."""

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from spa3d.report.document import Document, collect_kind_lines, collect_score_lines

FREE = {"config", "passport", "data", "timing"}
"""Keys with undocumented content."""


def test_document_keys(document):
    report = json.loads(document().json_text())
    assert report["schema"] == 1
    assert report["status"] == "complete"
    assert report["training"] == {"curves": "metrics.jsonl", "warnings": [], "health": {}}
    assert report["predictions"] == "predictions/"
    assert report["timing"] == {"base": 300.0, "post-train": 41.5}
    block = report["benchmarks"]["choice"]
    for side in ("before", "after"):
        assert {"score", "ci95", "blind", "chance", "majority", "invalid", "n", "kinds"} <= block[side].keys()
        assert {"score", "blind", "n"} <= block[side]["kinds"]["color"].keys()
        assert {"score", "blind", "n"} <= block[side]["counterfactual"].keys()
        assert {"score", "blind", "n"} <= block[side]["flip"].keys()
    assert {"score", "ci95", "blind", "p"} <= block["change"].keys()


def test_document_keys_are_documented(document, rows):
    page = (Path(__file__).parents[3] / "docs" / "report.md").read_text(encoding="utf-8")
    named = {word for code in re.findall(r"`([a-z0-9_.]+)`", page) for word in code.split(".")}
    probe = {"stage": "post-train", "probe": True, "logp_clean": -0.3, "margin": 1.0, "saturation": 0.1}
    metrics = [probe, probe, {"stopped": 5}, {"kept": 0}]
    sides = {"choice": (rows(0.8), rows(0.8)), "caption": ([], [])}
    report = document(warnings=["down"], metrics=metrics, rows=sides, reason="early", notes=["rows are lost"])
    assert report.training.health.kept == 0
    assert _keys(json.loads(report.json_text())) - named == set()


def _keys(report, inside=""):
    """All keys but the names of benchmarks and kinds, and the content of free mappings."""
    if not isinstance(report, dict) or inside in FREE:
        return set()
    names = set() if inside in ("benchmarks", "kinds") else set(report)
    return names.union(*(_keys(value, key) for key, value in report.items()))


def test_document_json_round_trip(document):
    original = document()
    assert Document.model_validate_json(original.json_text()) == original


def test_document_preserves_unknown_keys(document):
    report = json.loads(document().json_text())
    report["benchmarks"]["choice"]["after"]["sparkle"] = 7
    read = Document.model_validate(report)
    assert json.loads(read.json_text())["benchmarks"]["choice"]["after"]["sparkle"] == 7


def test_document_preserves_none_in_the_configuration(document):
    assert json.loads(document().json_text())["config"]["noise"]["config"]["patches"] is None


@pytest.mark.parametrize(
    ("key", "value"), [("score", 84.0), ("score", float("nan")), ("ci95", [0.9, 0.8]), ("n", 0), ("blind", None)]
)
def test_document_rejects_invalid_figures(document, key, value):
    report = json.loads(document().json_text())
    report["benchmarks"]["choice"]["after"][key] = value
    with pytest.raises(ValidationError, match=key):
        Document.model_validate(report)


def test_document_of_an_interrupted_run(document, rows):
    report = document(rows={"choice": (rows(0.8), [])}, status="interrupted")
    assert report.benchmarks["choice"].after is None
    assert "change" not in json.loads(report.json_text())["benchmarks"]["choice"]


def test_document_benchmark_without_questions(document, rows):
    report = document(rows={"choice": (rows(0.8), rows(0.8)), "caption": ([], [])})
    assert report.not_asked == ("caption",)
    assert list(report.benchmarks) == ["choice"]


def test_collect_score_lines_and_kind_lines(document, rows):
    report = document(rows={"choice": (rows(0.8), rows(0.7)), "classify": (rows(0.8, sets=["test"]), [])})
    lines = list(collect_score_lines(report))
    assert [(line.benchmark, line.subset) for line in lines] == [
        ("choice", "test"), ("choice", "counterfactual"), ("choice", "flip"), ("classify", "test"),
    ]  # fmt: skip
    assert lines[1].before == report.benchmarks["choice"].before.counterfactual
    assert lines[3].after is None
    kinds = list(collect_kind_lines(report.benchmarks["choice"]))
    assert [line.label for line in kinds] == ["color", "size"]
    assert kinds[0].change == report.benchmarks["choice"].change.kinds["color"]
