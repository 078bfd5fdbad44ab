"""Report of an evaluation: its figures, its tables, and hostile text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spa3d.report.evaluation import EvaluationDocument, write_evaluation_report
from spa3d.report.evaluation.document import collect_model_lines, summarize_model
from spa3d.report.evaluation.examples import select_answered
from spa3d.report.evaluation.wording import describe_decoding, format_headline

HOSTILE = "<script>alert(1)</script> | *bold* \x1b[31m"


def make_row(number: int, view: str, value: float, *, subset: str = "test", **more: Any) -> dict[str, Any]:
    return {
        "id": f"{subset}-{number}",
        "record": f"r{number}",
        "group": f"r{number}",
        "kind": "category" if number % 2 else "color",
        "set": subset,
        "pair": f"pair-{number // 2}" if subset == "flip" else None,
        "unseen": subset == "test" and number < 4,
        "prompt": HOSTILE,
        "options": None,
        "answer": f"{number} {HOSTILE}",
        "view": view,
        "text": f"{view} says {HOSTILE}" if view != "clean" else "it",
        "option_logp": [],
        "option_lengths": [],
        "value": value,
        "valid": True,
        "measures": {},
        "chance": 0.25,
        **more,
    }


def make_rows(*, right: int) -> list[dict[str, Any]]:
    """Ten questions: the first `right` are right with the cloud, the first two without."""
    rows = [make_row(number, "clean", float(number < right)) for number in range(10)]
    rows += [make_row(number, "blind", float(number < 2)) for number in range(10)]
    rows += [make_row(number, "noised", float(number < 3)) for number in range(10)]
    rows += [make_row(number, view, 1.0, subset="flip") for number in range(4) for view in ("clean", "blind", "noised")]
    return rows


def make_document(**conditions: Any) -> EvaluationDocument:
    draws = [make_rows(right=8), make_rows(right=6)]
    text = [{**row, "view": "text-table", "value": 0.3} for row in make_rows(right=8) if row["view"] == "clean"]
    scores = summarize_model(draws, text, bootstrap=100, seed=0)
    decoding = {"max_tokens": 64, "temperature": 1.0, "top_p": 0.9, "top_k": 0, "seed": 3, "contrast": None}
    return EvaluationDocument.model_validate(
        {
            "model": {"name": f"mine {HOSTILE}", "path": "runs/mine", "content": "0123"},
            "conditions": {
                "split": "test",
                "limit": 0,
                "decoding": decoding,
                "samples": 2,
                "dataset": {"requested": "shapes", "config": {"points": 128}},
                "benchmarks": {"classify": {"requested": "classify", "config": {}}},
                "views": ["clean", "noised", "blind"],
                **conditions,
            },
            "passport": {"machine": {"device": "cpu", "argv": ["evaluate", HOSTILE]}},
            "data": {"dataset": "shapes", "splits": {"test": 10}, "skipped": [HOSTILE], "notes": []},
            "benchmarks": {"classify": scores},
            "not_asked": ["caption"],
            "notes": [f"caption: {HOSTILE}"],
        }
    )


def test_figures_are_means_over_questions_and_draws() -> None:
    score = make_document().benchmarks["classify"]
    assert score.score == pytest.approx(0.7)
    assert score.blind == 0.2
    assert (score.text_floor and score.text_floor.source, score.n) == ("text-table", 10)
    assert score.gap is not None
    assert score.gap.score == pytest.approx(0.5)
    assert score.worth is not None
    assert score.worth.score == pytest.approx(0.4)
    assert score.spread == pytest.approx(0.141421)  # of 0.8 and 0.6
    assert set(score.views) == {"noised"}
    change = score.views["noised"].change
    assert change is not None
    assert change.score == pytest.approx(-0.4)


def test_lines_are_benchmarks_with_their_subsets() -> None:
    assert [line.label for line in collect_model_lines(make_document())] == ["classify", "unseen", "flip"]


def test_every_report_states_the_decoding_and_escapes_text(tmp_path: Path) -> None:
    document = make_document()
    examples = select_answered(make_rows(right=8), lambda record: np.random.rand(50, 6).astype(np.float32))
    write_evaluation_report(tmp_path, document, examples)
    stated = "drawn (temperature 1, top-p 0.9, seed 3), at most 64 tokens, 2 draws per question"
    markdown, page = ((tmp_path / f"report.{kind}").read_text() for kind in ("md", "html"))
    assert markdown.count(stated) == 4  # under three tables, and among the conditions
    assert page.count(stated) == 4
    for text in (markdown, page):
        assert "\x1b" not in text
        assert "<script>alert" not in text
    assert page.count("<article") == 4
    assert "| classify | 70.0 (" in markdown
    assert "| 14.1 | 20.0 (" in markdown
    assert json.loads((tmp_path / "report.json").read_text())["benchmarks"]["classify"]["samples"]["count"] == 2


def make_choices() -> list[dict[str, Any]]:
    """Pairs of questions with two options; three of four answers are right with the cloud."""
    scored = {
        "prompt": "Which? A) it B) other",
        "options": ["it", "other"],
        "answer": "it",
        "option_logp": [-0.5, -1.0],
        "option_lengths": [1, 1],
    }
    return [
        make_row(number, view, value, pair=f"p{number // 2}", measures={"own_cloud": value}, **scored)
        for view, values in {"clean": (1.0, 1.0, 1.0, 0.0), "blind": (0.0, 1.0, 0.0, 0.0)}.items()
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize("calibration", [False, True])
def test_reports_have_further_figures_hygiene_and_statistics(calibration: bool, tmp_path: Path) -> None:
    scores = summarize_model([make_choices()], [], bootstrap=100, seed=0, calibration=calibration)
    content = make_document(seed=7).model_dump() | {"benchmarks": {"relevance": scores}}
    write_evaluation_report(tmp_path, EvaluationDocument.model_validate(content), [])
    markdown, page = ((tmp_path / f"report.{kind}").read_text() for kind in ("md", "html"))
    assert "| right with the record's own cloud | 75.0 (" in markdown
    assert markdown.split("own cloud | 75.0")[1].split("\n")[0].endswith("| 25.0 |"), "its blind value stands beside it"
    for text in (markdown, page):
        assert text.count("n is the number of questions (flip, relevance: of pairs); seed 7.") >= 1
        assert "relevance: 2 pairs about 4 records" in text
        assert "Further figures" in text
        assert "Hygiene" in text
        assert "right without the cloud" in text
        assert ("ECE" in text, "Brier" in text) == (calibration, calibration)
    line = next(line for line in markdown.splitlines() if line.startswith("| relevance |"))
    assert "(+1 " in line
    assert "±" in line
    assert "could see ±" in page


def test_decoding_in_words() -> None:
    plain = {"max_tokens": 64, "temperature": 0.0, "contrast": None}
    greedy = make_document(decoding=plain, samples=1)
    assert describe_decoding(greedy) == (
        "Free answers are greedy, at most 64 tokens; options are scored by log p, without draws."
    )
    noise = {"requested": "mask", "config": {"level": 0.5}}
    contrasted = make_document(decoding={**plain, "contrast": {"alpha": 0.5, "cutoff": 0.1}}, samples=1, noise=noise)
    assert "1.5 times those of the clean cloud minus 0.5 times those of the noised one (mask, level 0.5)" in (
        describe_decoding(contrasted)
    )


def test_headline_of_a_model_without_clouds() -> None:
    rows = [row for row in make_rows(right=8) if row["view"] == "blind"]
    scores = summarize_model([rows], [], bootstrap=100, seed=0)
    document = make_document().model_copy(
        update={"benchmarks": {"classify": type(make_document().benchmarks["classify"]).model_validate(scores)}}
    )
    assert format_headline(document)[1].startswith("classify 20.0 % (95 % interval")
    assert format_headline(document)[1].endswith("without clouds")


def test_keys_are_documented() -> None:
    page = (Path(__file__).parents[4] / "docs" / "evaluate.md").read_text(encoding="utf-8")
    content = json.loads(make_document().json_text())
    keys = {*content, "views", "samples", *content["benchmarks"]["classify"]["views"]["noised"]}
    keys |= {*content["benchmarks"]["classify"]["samples"], "scores", "deviation", *content["model"]}
    assert {key for key in keys if f"`{key}`" not in page and f"`benchmarks.*.{key}`" not in page} == set()
