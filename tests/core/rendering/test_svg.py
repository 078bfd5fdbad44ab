"""Ticks and scales."""

import pytest

from spa3d.rendering.svg import BarScale, choose_ticks, draw_text, format_tick


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.32, 0.91, (0.2, 0.4, 0.6, 0.8, 1.0)), (0, 9, (0, 5, 10)), (-0.5, -0.1, (-0.5, -0.4, -0.3, -0.2, -0.1))],
)
def test_choose_ticks(low, high, ticks):
    assert choose_ticks(low, high) == pytest.approx(ticks)


def test_format_tick_decimals():
    ticks = (-0.5, 0.0, 0.5)
    assert [format_tick(tick, ticks) for tick in ticks] == ["\N{MINUS SIGN}0.5", "0.0", "0.5"]
    assert format_tick(20.0, (0.0, 10.0, 20.0)) == "20"


def test_bar_scale_clips_values():
    scale = BarScale((-50.0, 0.0, 50.0), ("a", "b", "c"), edge=20)
    assert [scale.x(value) for value in (-60, -50, 0, 25, 50, 99)] == [20.0, 20.0, 120.0, 170.0, 220.0, 220.0]
    assert list(scale.draw(8, "scale"))[1] == draw_text(120.0, 8, "b", "scale", anchor="middle")
