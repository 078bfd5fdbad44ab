"""SVG elements, round ticks, and the scale of small pictures.

Colors come from the style sheet of the page, by class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from spa3d.rendering.numbers import MINUS


@dataclass(frozen=True)
class BarScale:
    """Horizontal scale of small pictures in one column of a table.

    Attributes:
        ticks: values with a label, ascending; the first and the last are the ends of the scale.
        labels: text of each tick, without special characters.
        edge: pixels left free on both sides.

    """

    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    edge: float
    width: ClassVar[int] = 240
    head_height: ClassVar[int] = 14

    def x(self, value: float) -> float:
        """Position of a value in pixels, clipped to the ends."""
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return round(self.edge + min(max(share, 0), 1) * (self.width - 2 * self.edge), 1)

    def draw(self, y: float, kind: str) -> Iterator[str]:
        """Draw the labels of the ticks at the height `y`."""
        for tick, label in zip(self.ticks, self.labels, strict=True):
            yield draw_text(self.x(tick), y, label, kind, anchor="middle")


def choose_ticks(low: float, high: float) -> tuple[float, ...]:
    """Choose two to six round values around the data."""
    spread = high - low or abs(high) or 1.0
    size = 10.0 ** math.floor(math.log10(spread / 3))
    step = next(size * factor for factor in (1, 2, 5, 10) if spread / (size * factor) <= 4)
    start, stop = math.floor(low / step), math.ceil(high / step)
    return tuple(step * number for number in range(start, max(stop, start + 1) + 1))


def format_tick(value: float, ticks: Sequence[float]) -> str:
    """Format a tick with as many decimals as the distance of the ticks needs."""
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    text = f"{value:.{decimals}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")


def draw_picture(kind: str, width: float, height: float, label: str, marks: Iterable[str]) -> str:
    """Draw an ``svg`` element; `label` is escaped text for screen readers."""
    head = f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
    return head + "".join(marks) + "</svg>"


def draw_line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Draw a straight line of the class `kind`."""
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def draw_circle(x: float, y: float, radius: float, kind: str) -> str:
    """Draw a circle of the class `kind`."""
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius}"/>'


def draw_polyline(points: Iterable[tuple[float, float]], kind: str) -> str:
    """Draw a line of the class `kind` through points."""
    return f'<polyline class="{kind}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>'


def draw_text(x: float, y: float, content: str, kind: str, *, anchor: str = "") -> str:
    """Draw escaped text of the class `kind`; `anchor` is start, middle, end or empty."""
    aligned = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{kind}" x="{x}" y="{y}"{aligned}>{content}</text>'
