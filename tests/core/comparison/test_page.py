"""compare.html."""

import re
import xml.etree.ElementTree as ET

from spa3d.comparison.figures import build_level_charts, draw_forest, draw_levels, make_points_scale, make_shared_scale
from spa3d.comparison.page import render_page

HOSTILE = "<script>alert(1)</script>\"'&"
CHOICE = ("choice", "test")


def score(table, label, part=CHOICE):
    return table.score(next(row for row in table.rows if row.label == label), part)


def test_render_page_has_no_scripts_or_addresses(three_rows, paper):
    page = render_page(three_rows.table(preset=paper))
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r"https?:|src=|url\(|@import", page)


def test_render_page_escapes_text(three_rows):
    grid = three_rows.add(HOSTILE, HOSTILE)
    page = render_page(grid.table(title=HOSTILE, command=HOSTILE, budget=HOSTILE))
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 4


def test_render_page_links_every_run(three_rows):
    page = render_page(three_rows.add("late", "").table())
    assert re.findall(r'href="([^"]*)"', page) == [f"cells/{number:03d}/report.html" for number in range(9)]


def test_render_page_errors_are_above_the_tables(three_rows):
    page = render_page(three_rows.add("dpo", "out of memory").table())
    assert page.index("out of memory") < page.index("<table")
    assert '<small class="error">3 failed</small>' in page


def test_render_page_colors_the_head_for_a_winner_only(three_rows, grid):
    assert '<header class="helped">' in render_page(three_rows.table())
    grid.outcomes = grid.outcomes[:6]
    assert '<header class="even">' in render_page(grid.table())


def test_render_page_begins_with_all_scores_of_all_rows(three_rows):
    table = three_rows.table()
    first = re.search(r"<table.*?</table>", render_page(table), re.DOTALL)[0]
    heads = re.findall(r"<th[^>]*scope=.col.[^>]*>", first)
    assert len(heads) == 1 + len(table.subsets())
    for label in ("sft", "spa", "twins"):
        for subset in table.subsets():
            share = next(row for row in table.rows if row.label == label)
            assert f"{100 * table.score(share, subset).after.mean:.1f}" in first
    winner = table.score(next(row for row in table.rows if row.label == "twins"), CHOICE)
    assert winner.against_control.side == 1
    assert f'<b><i class="up">▲</i>{100 * winner.after.mean:.1f}</b>' in first


def test_draw_forest_positions_of_intervals(three_rows):
    result = score(three_rows.table(), "twins")
    axis = make_points_scale((-50.0, 0.0, 50.0))
    drawn = ET.fromstring(draw_forest(result, axis, "twins"))
    span = next(line for line in drawn.iter("line") if line.attrib["class"] == "span after")
    ends = [120 + 212 * end for end in result.against_control.ci95]
    assert [float(span.attrib[name]) for name in ("x1", "x2")] == [round(end, 1) for end in ends]
    assert next(line for line in drawn.iter("line") if line.attrib["class"] == "zero").attrib["x1"] == "120.0"


def test_make_shared_scale_contains_zero_and_all_intervals(three_rows):
    table = three_rows.table()
    axis = make_shared_scale([score(table, label) for label in ("sft", "spa", "twins")])
    ends = [100 * end for end in score(table, "twins").against_control.ci95]
    assert axis.ticks[0] <= 0 <= max(ends) <= axis.ticks[-1]


def levels(grid):
    grid.add("sft", {"choice": 0.6}, control="", role="control")
    for noise, objective in (("mask", "spa"), ("mask", "dpo"), ("gaussian", "spa")):
        for level in ("0.5", "0.1"):
            settings = {"objective": objective, "noise": noise, "noise.level": level}
            grid.add(f"{objective} {noise} {level}", {"choice": 0.6}, seeds=(0,), settings=settings)
    return grid.table()


def test_build_level_charts_by_noise_and_objective(grid):
    charts = build_level_charts(levels(grid), CHOICE)
    assert [(chart.noise, [curve.name for curve in chart.curves]) for chart in charts] == [
        ("mask", ["spa", "dpo"]),
        ("gaussian", ["spa"]),
    ]
    assert [level for level, _ in charts[0].curves[0].points] == [0.1, 0.5]
    drawn = draw_levels(charts[0], "points")
    assert len(re.findall("<polyline", drawn)) == 2
    assert len(re.findall("whisker", drawn)) == 4


def test_build_level_charts_without_levels(three_rows):
    assert build_level_charts(three_rows.table(), CHOICE) == []
