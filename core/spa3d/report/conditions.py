"""Conditions of the figures in a table: seeds, number of questions, decoding."""

from __future__ import annotations

from collections.abc import Sequence

from spa3d.rendering.numbers import MINUS, format_p_value, format_plus_minus
from spa3d.report.document import Calibration, Document, McNemar, Shift
from spa3d.report.run_details import format_decoding, format_seeds

COULD_SEE = (
    "Could see: the smallest true change that a paired test of this score alone finds in 80 % of cases (two-sided, "
    "5 %)."
)
MCNEMAR = "McNemar: the exact test that takes questions as independent, with the numbers of questions gained and lost."
STATISTICS = f"{COULD_SEE} p: sign flips of whole groups. {MCNEMAR}"
"""The statistics beside a change, in words."""
CALIBRATION = (
    "ECE: how far the probability of the picked option is from the share of right picks, in points. Brier: squared "
    "distance of the options' probabilities from the truth, 0 to 2."
)
"""The calibration of options, in words."""
CALIBRATION_HEAD = ("ECE", "Brier")
"""Columns on request, after all others."""


def describe_conditions(document: Document) -> str:
    """Describe how the figures of a run's tables were made."""
    seeds, decoding = format_seeds(document.config), format_decoding(document.decoding)
    paired = [
        name
        for name, block in document.benchmarks.items()
        if any(side and side.unit for side in block.sides.scores.values())
    ]
    clauses = ["One run" + (f", seeds: {seeds}" if seeds else ""), describe_numbers(paired)]
    return "; ".join(clauses) + "." + (f" Decoding: {decoding}." if decoding else "")


def describe_numbers(paired: Sequence[str]) -> str:
    """Describe what the column n counts; `paired` are the benchmarks that ask in pairs."""
    return f"n is the number of questions ({', '.join(['flip', *paired])}: of pairs)"


def format_mcnemar(test: McNemar) -> str:
    """Format McNemar's test: ``0.49 (+31 −38)``."""
    p, counts = list_mcnemar(test)
    return f"{p} ({counts})"


def list_mcnemar(test: McNemar) -> tuple[str, str]:
    """List the p value of McNemar's test, and the numbers of questions gained and lost."""
    return format_p_value(test.p).removeprefix("p = ").removeprefix("p "), f"+{test.gained} {MINUS}{test.lost}"


def format_reach(shift: Shift) -> str:
    """Format the minimum detectable effect in points: ``±0.9``; empty if it was not recorded."""
    return "" if shift.mde is None else format_plus_minus(shift.mde)


def format_calibration(calibration: Calibration) -> tuple[str, str]:
    """Format ECE, in points, and Brier score."""
    return f"{100 * calibration.ece:.1f}", f"{calibration.brier:.3f}"


def has_calibration(document: Document) -> bool:
    """Whether a benchmark of the report has the calibration of options."""
    sides = [side for block in document.benchmarks.values() for side in (block.before, block.after)]
    return any(side is not None and side.calibration is not None for side in sides)
