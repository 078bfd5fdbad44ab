"""The frame of a line chart, its axes and the names at the ends of lines."""

import re

from spa3d.rendering.line_chart import EndLabel, Frame, draw_end_labels, draw_position_axis, draw_value_axis

FRAME = Frame(first=0, last=10, ticks=(-1.0, 0.0, 1.0), right=240, bottom=116, inset=(8, 2))


def test_frame_maps_the_data_between_its_insets():
    assert [FRAME.x(value) for value in (-5, 0, 5, 10, 11)] == [48.0, 48.0, 143.0, 238.0, 238.0]
    assert [FRAME.y(value) for value in (1, 0, -1)] == [16.0, 66.0, 116.0]


def test_draw_value_axis_marks_zero_on_request():
    assert "zero" not in "".join(draw_value_axis(FRAME))
    marked = "".join(draw_value_axis(FRAME, mark_zero=True))
    assert re.findall(r'class="(zero|grid)"', marked) == ["grid", "zero", "grid"]


def test_draw_position_axis_labels_stand_below_the_box():
    assert list(draw_position_axis(FRAME, [(5, "middle")])) == [
        '<text class="tick" x="143.0" y="133" text-anchor="middle">5</text>'
    ]


def test_draw_end_labels_pushes_names_apart_and_escapes_them():
    drawn = "".join(draw_end_labels([EndLabel(21.0, "<b>", "noised"), EndLabel(20.0, "clean", "clean")], 250, 200))
    assert re.findall(r'y="([^"]*)">([^<]*)<', drawn) == [("23.5", "clean"), ("36.5", "&lt;b&gt;")]


def test_draw_end_labels_stay_above_the_bottom():
    drawn = "".join(draw_end_labels([EndLabel(y, f"at {y}", "clean") for y in (20, 195, 197, 199)], 250, 200))
    assert re.findall(r'y="([^"]*)">([^<]*)<', drawn) == [
        ("23.5", "at 20"),
        ("177.5", "at 195"),
        ("190.5", "at 197"),
        ("203.5", "at 199"),
    ]
