"""Numbers as they are printed."""

import pytest

from spa3d.rendering.numbers import (
    MINUS,
    format_count,
    format_duration,
    format_p_value,
    format_percent,
    format_percent_interval,
    format_points,
    format_points_interval,
    format_signed,
)


def test_format_percent_and_points():
    assert format_percent(0.84) == "84.0"
    assert format_percent(1.0) == "100.0"
    assert format_points(0.018) == "+1.8"
    assert format_points(-0.0021) == f"{MINUS}0.2"
    assert format_percent_interval((0.821, 0.858)) == "82.1\N{EN DASH}85.8"
    assert format_points_interval((-0.01, 0.006)) == f"{MINUS}1.0 to +0.6"


@pytest.mark.parametrize("nothing", [0.0, -0.0, 0.0004, -0.0004])
def test_format_points_without_sign_at_zero(nothing):
    assert format_points(nothing) == "0.0"


def test_format_p_value_and_count():
    assert [format_p_value(p) for p in (0.61, 0.0434, 0.0004)] == ["p = 0.61", "p = 0.043", "p < 0.001"]
    assert [format_count(n, "record") for n in (0, 1, 2000)] == ["0 records", "1 record", "2,000 records"]


def test_format_duration():
    seconds = (0.42, 48.2, 59.7, 125, 3600, 4330)
    assert [format_duration(s) for s in seconds] == [
        "0.4 s",
        "48 s",
        "1 min 00 s",
        "2 min 05 s",
        "1 h 00 min",
        "1 h 12 min",
    ]


def test_format_signed_drops_the_sign_of_zero():
    assert [format_signed(value, 2) for value in (1.5, -0.25, -0.001)] == ["+1.50", f"{MINUS}0.25", "0.00"]
