"""Further figures in report.md and report.html."""

from __future__ import annotations

import re
from typing import Any

from spa3d.rendering.numbers import NOTHING
from spa3d.report.markdown import render_markdown
from spa3d.report.page import render_page


def make_sides(rows: Any, name: str, **values: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    sides = []
    for clean, blind in ((values["before"], values["blind"]), (values["after"], values["blind"])):
        side = rows(0.8, sets=("test",))
        sides.append([{**row, "measures": {name: clean if row["view"] == "clean" else blind}} for row in side])
    return sides[0], sides[1]


def test_measures_stand_beside_their_blind_values(document: Any, rows: Any) -> None:
    sides = make_sides(rows, "cider_d", before=1.5, after=2.0, blind=0.25)
    report = document(rows={"caption": sides})
    block = report.benchmarks["caption"]
    assert (block.before.measures, block.before.blind_measures) == ({"cider_d": 1.5}, {"cider_d": 0.25})
    assert block.change.measures["cider_d"].score == 0.5
    page = render_markdown(report, [])
    line = next(line for line in page.splitlines() if line.startswith("| CIDEr-D"))
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert [cell.split(" (")[0] for cell in cells[1:]] == ["150.0", "25.0", "200.0", "25.0", "+50.0"]
    assert page.count("Further figures of caption") == 1
    html = render_page(report, [], [])
    assert "CIDEr-D (split at white space)" in html
    assert re.search(r"<b>150.0</b><small>[^<]*</small><small>blind 25.0</small>", html)


def test_measures_of_one_side_and_none(document: Any, rows: Any) -> None:
    before, _ = make_sides(rows, "rouge_l", before=0.5, after=0.5, blind=0.1)
    page = render_markdown(document(rows={"caption": (before, [])}), [])
    line = next(line for line in page.splitlines() if line.startswith("| ROUGE-L"))
    assert line.endswith(f"| 10.0 | {NOTHING} | {NOTHING} | {NOTHING} |")
    assert "Further figures" not in render_markdown(document(), [])
    assert "Further figures" not in render_page(document(), [], [])


def test_names_of_measures_are_escaped(document: Any, rows: Any, hostile_text: str) -> None:
    sides = make_sides(rows, hostile_text, before=0.5, after=0.5, blind=0.5)
    report = document(rows={"caption": sides})
    assert "<script>alert(1)" not in render_page(report, [], [])
    assert not re.search(r"(?<!\\)<img", render_markdown(report, []))
