"""CIDEr-D: golden corpora of pycocoevalcap, and values by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from spa3d.errors import DataError
from spa3d.metrics.cider import DocumentFrequencies, score_cider_d

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "cider_d.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_score_cider_d_equals_pycocoevalcap(case: dict[str, Any]) -> None:
    predictions, references = zip(*case["items"], strict=True)
    table = {tuple(ngram.split()): count for ngram, count in case.get("df", {}).items()}
    frequencies = DocumentFrequencies(table, case["documents"]) if table else None
    scores = score_cider_d(predictions, references, sigma=case["sigma"], frequencies=frequencies)
    assert scores == pytest.approx(case["scores"], abs=1e-9)
    assert math.fsum(scores) / len(scores) == pytest.approx(case["mean"], abs=1e-9)


def test_score_cider_d_depends_on_the_set() -> None:
    assert score_cider_d(["a chair"], [["a chair"]]) == [0.0]  # an n-gram of every item weighs nothing
    assert score_cider_d(["a chair", "lamp"], [["a chair"], ["lamp"]]) == [pytest.approx(5.0), pytest.approx(2.5)]
    assert score_cider_d([], []) == []


def test_score_cider_d_clips_repeats_and_fades_with_the_length() -> None:
    # "x x" against "x": order 1 has the weights 2w and w, clipped to w: 1/2; one word pair more.
    score = score_cider_d(["x x", "y"], [["x"], ["y"]])[0]
    assert score == pytest.approx(10 / 4 * 0.5 * math.exp(-1 / 72))


def test_score_cider_d_refuses_items_without_a_reference() -> None:
    with pytest.raises(DataError, match="item 1 has no reference"):
        score_cider_d(["a", "b"], [["a"], []])
    with pytest.raises(DataError, match="1 captions and references of 2 items"):
        score_cider_d(["a"], [["a"], ["b"]])
