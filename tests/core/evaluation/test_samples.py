"""Several draws of each answer: means and spread by hand."""

from __future__ import annotations

from typing import Any

import pytest

from spa3d.evaluation.samples import measure_spread, merge_samples


def row(text: str, value: float, *, view: str = "clean", subset: str = "test", **more: Any) -> dict[str, Any]:
    return {
        "id": "q",
        "view": view,
        "set": subset,
        "options": None,
        "text": text,
        "value": value,
        "valid": True,
        "measures": {},
        **more,
    }


def test_merge_takes_means_and_keeps_the_draws() -> None:
    draws = [[row("a", 1.0, measures={"f": 0.5})], [row("b", 0.0, valid=False)], [row("c", 0.5, measures={"f": 1.0})]]
    [merged] = merge_samples(draws)
    assert (merged["text"], merged["value"], merged["measures"]) == ("a", 0.5, {"f": 0.75})
    assert merged["valid"] == pytest.approx(2 / 3)
    assert [draw["text"] for draw in merged["samples"]] == ["a", "b", "c"]


def test_one_draw_and_options_stay_as_they_are() -> None:
    free, choice = row("a", 1.0), row("a", 1.0, options=["a", "b"])
    assert merge_samples([[free]]) == [free]
    assert merge_samples([[choice], [choice]]) == [choice]
    assert measure_spread([[free]]) is None
    assert measure_spread([[choice], [choice]]) is None


def test_spread_is_the_deviation_of_the_scores_of_the_draws() -> None:
    first = [row("a", 1.0), row("a", 1.0), row("a", 0.0, view="blind"), row("a", 1.0, subset="flip")]
    second = [row("a", 1.0), row("a", 0.0), row("a", 0.0, view="blind"), row("a", 0.0, subset="flip")]
    spread = measure_spread([first, second])
    assert spread is not None
    assert spread["count"] == 2
    assert spread["views"]["clean"] == {"scores": [1.0, 0.5], "deviation": pytest.approx(0.353553)}
    assert spread["views"]["blind"] == {"scores": [0.0, 0.0], "deviation": 0.0}
