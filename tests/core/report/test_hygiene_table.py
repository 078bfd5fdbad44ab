"""Tables of hygiene in Markdown and HTML."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from spa3d.metrics.option_hygiene import ShownQuestion, measure_options
from spa3d.report.hygiene_table import render_hygiene, render_markdown_hygiene, render_set_hygiene

FIGURES = {
    "questions": 1200,
    "chance": 0.25,
    "letters_right": {"A": 0.5, "B": 0.5},
    "letters_picked": {"A": 1.0, "B": 0.0},
    "invalid": 0.125,
    "consistent": None,
}


def block(before: Any, after: Any) -> Any:
    sides = {"before": before, "after": after}
    return SimpleNamespace(scores={name: side and SimpleNamespace(hygiene=side) for name, side in sides.items()})


def test_both_sides_have_a_column() -> None:
    table = render_markdown_hygiene(block(FIGURES, {**FIGURES, "invalid": 0.0}))
    assert table.splitlines()[0] == "|  | before | after |"
    assert "| answers without an option | 12.5 | 0.0 |" in table
    assert "| picked letters | 100 / 0 | 100 / 0 |" in table
    assert "| questions | 1,200 | 1,200 |" in table
    assert "| right under every rotation of the options | \N{EN DASH} | \N{EN DASH} |" in table
    assert "longest" not in table


def test_one_side_or_none() -> None:
    assert render_markdown_hygiene(block(None, FIGURES)).splitlines()[0] == "|  | after |"
    assert render_markdown_hygiene(block(None, None)) == ""
    assert render_hygiene("choice", block(None, None)) == ""
    page = render_hygiene("<i>choice", block(FIGURES, None))
    assert "12.5" in page
    assert "<i>" not in page


def test_a_set_has_a_row_per_category() -> None:
    figures = measure_options([ShownQuestion("r", "color", "Which?", ("red", "tan"), 1)])
    row = render_set_hygiene({"color": figures}).splitlines()[-1]
    assert row == "| color | 1 | 50.0 | 0 / 100 | 50.0 | 50.0 | 0 | 0 |"
