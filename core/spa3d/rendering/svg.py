"""What every figure is drawn with: elements of SVG, and the ticks of an axis.

Colours come from the page's style sheet, by class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from spa3d.rendering.numbers import MINUS


def round_ticks(low: float, high: float) -> tuple[float, ...]:
    """Two to six round values that span the data."""
    spread = high - low or abs(high) or 1.0
    size = 10.0 ** math.floor(math.log10(spread / 3))
    step = next(size * factor for factor in (1, 2, 5, 10) if spread / (size * factor) <= 4)
    start, stop = math.floor(low / step), math.ceil(high / step)
    return tuple(step * number for number in range(start, max(stop, start + 1) + 1))


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """A tick with no more decimals than its neighbours need."""
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    text = f"{value:.{decimals}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")


def svg(kind: str, width: float, height: float, label: str, marks: Iterable[str]) -> str:
    """A picture with its label for those who cannot see it; `label` is escaped already."""
    head = f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
    return head + "".join(marks) + "</svg>"


def stroke(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line of the class `kind`."""
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'
