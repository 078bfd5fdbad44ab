"""Numbers and text as a reader wants them."""

from __future__ import annotations

import re

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~&#$])")


def percent(share: float) -> str:
    """A share of 1 in percent with one decimal: 0.84 gives ``84.0``."""
    return f"{100 * share:.1f}"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign: ``+1.8``, ``−0.2``, ``0.0``."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def percent_span(interval: tuple[float, float]) -> str:
    """An interval of shares: ``82.1–85.8``."""
    return "\N{EN DASH}".join(percent(end) for end in interval)


def points_span(interval: tuple[float, float]) -> str:
    """An interval of differences: ``−1.0 to +0.6``."""
    return " to ".join(points(end) for end in interval)


def p_value(p: float) -> str:
    """A p value to two digits: ``p = 0.61``, ``p < 0.001``."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def duration(seconds: float) -> str:
    """Seconds as ``0.4 s``, ``48 s``, ``2 min 05 s`` or ``1 h 12 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: int, noun: str) -> str:
    """``1 record``, ``2,000 records``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def markdown(text: str) -> str:
    """Untrusted text for a line or table cell of Markdown: it reads as it is, marks nothing up, steers no terminal."""
    line = _CONTROL.sub(lambda found: repr(found[0])[1:-1], " ".join(text.split()))
    return _SPECIAL.sub(r"\\\1", line)
