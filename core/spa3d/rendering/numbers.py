"""Numbers in text: shares, differences, intervals, p values, durations, counts."""

from __future__ import annotations

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"


def format_percent(share: float) -> str:
    """Format a share of 1 in percent with one decimal: 0.84 gives ``84.0``."""
    return f"{100 * share:.1f}"


def format_points(difference: float) -> str:
    """Format a difference of shares in signed points: ``+1.8``, ``−0.2``, ``0.0``."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def format_plus_minus(difference: float) -> str:
    """Format the size of a difference in points, of either sign: ``±1.8``."""
    return f"\N{PLUS-MINUS SIGN}{format_percent(abs(difference))}"


def format_percent_interval(interval: tuple[float, float]) -> str:
    """Format an interval of shares: ``82.1–85.8``."""
    return "\N{EN DASH}".join(format_percent(end) for end in interval)


def format_points_interval(interval: tuple[float, float]) -> str:
    """Format an interval of differences: ``−1.0 to +0.6``."""
    return " to ".join(format_points(end) for end in interval)


def format_p_value(p: float) -> str:
    """Format a p value to two digits: ``p = 0.61``, ``p < 0.001``."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def format_duration(seconds: float) -> str:
    """Format seconds as ``0.4 s``, ``48 s``, ``2 min 05 s`` or ``1 h 12 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def format_count(number: int, noun: str) -> str:
    """Format a number with its noun: ``1 record``, ``2,000 records``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_signed(value: float, decimals: int) -> str:
    """Format a number with its sign; without a sign if it rounds to 0."""
    text = f"{value:+.{decimals}f}"
    return text.replace("-", MINUS) if float(text) else text[1:]
