"""Rounding of the figures of a report."""

from __future__ import annotations

DIGITS = 6
"""Decimals kept in report.json."""


def round_figure(value: float) -> float:
    """Round a figure of any float type to `DIGITS` decimals."""
    return round(float(value), DIGITS)
