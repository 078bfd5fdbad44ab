"""Numbers as they are printed."""

import pytest

from spa3d.rendering.numbers import (
    MINUS,
    count,
    duration,
    markdown,
    p_value,
    percent,
    percent_span,
    points,
    points_span,
)


def test_shares_and_differences():
    assert percent(0.84) == "84.0"
    assert percent(1.0) == "100.0"
    assert points(0.018) == "+1.8"
    assert points(-0.0021) == f"{MINUS}0.2"
    assert percent_span((0.821, 0.858)) == "82.1\N{EN DASH}85.8"
    assert points_span((-0.01, 0.006)) == f"{MINUS}1.0 to +0.6"


@pytest.mark.parametrize("nothing", [0.0, -0.0, 0.0004, -0.0004])
def test_a_difference_that_rounds_to_nothing_has_no_sign(nothing):
    assert points(nothing) == "0.0"


def test_p_values_and_counts():
    assert [p_value(p) for p in (0.61, 0.0434, 0.0004)] == ["p = 0.61", "p = 0.043", "p < 0.001"]
    assert [count(n, "record") for n in (0, 1, 2000)] == ["0 records", "1 record", "2,000 records"]


def test_durations():
    seconds = (0.42, 48.2, 59.7, 125, 3600, 4330)
    assert [duration(s) for s in seconds] == ["0.4 s", "48 s", "1 min 00 s", "2 min 05 s", "1 h 00 min", "1 h 12 min"]


def test_markdown_steers_no_terminal_and_marks_nothing_up():
    assert markdown("[/red]<script>|") == r"\[/red\]\<script\>\|"
    assert markdown("a\x1b[2J\u2028b\r\n\x9bc") == r"a\\x1b\[2J b \\x9bc"
