"""Parts of a line chart in SVG: the frame, its axes, and the names at the ends of the lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from spa3d.rendering.svg import draw_line, draw_text, format_tick

LEFT, TOP = 40, 16
"""Pixels left of and above the box of a chart."""
TICK_GAP, TICK_DROP, TICK_RISE = 6, 17, 3.5
"""Pixels between the box and a label beside it, down to a label below it, and from a label's middle to its foot."""
LABEL_GAP = 13
"""Pixels between two names at the ends of lines."""


@dataclass(frozen=True)
class Frame:
    """The range of a chart's data and the edges of its box in pixels.

    Attributes:
        first: the horizontal value at the left.
        last: that at the right; greater than `first`.
        ticks: of the vertical axis, ascending; the first and the last are its ends.
        right: right edge of the box.
        bottom: lower edge of the box.
        inset: room between the box and the data, left and right.

    """

    first: float
    last: float
    ticks: tuple[float, ...]
    right: float
    bottom: float
    inset: tuple[float, float] = (0, 0)

    def x(self, value: float) -> float:
        """Horizontal position in pixels, held within the range."""
        share = (value - self.first) / (self.last - self.first)
        left, right = LEFT + self.inset[0], self.right - self.inset[1]
        return round(left + min(max(share, 0), 1) * (right - left), 1)

    def y(self, value: float) -> float:
        """Vertical position in pixels."""
        share = (self.ticks[-1] - value) / (self.ticks[-1] - self.ticks[0])
        return round(TOP + share * (self.bottom - TOP), 1)


class EndLabel(NamedTuple):
    """Name, class and final height in pixels of a line."""

    y: float
    name: str
    style: str


def draw_value_axis(frame: Frame, *, mark_zero: bool = False) -> Iterator[str]:
    """Draw grid lines with their values; `mark_zero` gives that of 0 a class of its own."""
    for tick in frame.ticks:
        y = frame.y(tick)
        yield draw_line(LEFT, y, frame.right, y, "zero" if mark_zero and tick == 0 else "grid")
        yield draw_text(LEFT - TICK_GAP, y + TICK_RISE, format_tick(tick, frame.ticks), "tick", anchor="end")


def draw_position_axis(frame: Frame, positions: Iterable[tuple[float, str]]) -> Iterator[str]:
    """Draw labels below the box, each a horizontal value and its text anchor."""
    for value, anchor in positions:
        yield draw_text(frame.x(value), frame.bottom + TICK_DROP, f"{value:g}", "tick", anchor=anchor)


def draw_end_labels(labels: Iterable[EndLabel], x: float) -> Iterator[str]:
    """Draw the names of lines at their ends from `x` on, pushed apart downwards, escaped."""
    lowest = -math.inf
    for label in sorted(labels, key=lambda label: label.y):
        lowest = max(label.y + TICK_RISE, lowest + LABEL_GAP)
        yield draw_text(x, lowest, escape(label.name), f"label {label.style}")
