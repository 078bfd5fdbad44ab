"""Parts of a line chart in SVG: frame, axes, and names at the ends of the lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from spa3d.rendering.svg import draw_line, draw_text, format_tick

LEFT, TOP = 40, 16
"""Pixels to the left of the box of a chart, and above it."""
TICK_GAP, TICK_DROP, TICK_RISE = 6, 17, 3.5
"""Pixels from the box to a label beside it, to a label below it, and from the middle of a label to its baseline."""
LABEL_GAP = 13
"""Pixels between two names at the ends of lines."""


@dataclass(frozen=True)
class Frame:
    """Range of the data of a chart, and edges of its box in pixels.

    Attributes:
        first: horizontal value at the left edge.
        last: horizontal value at the right edge, greater than `first`.
        ticks: values on the vertical axis, ascending; the first and the last are its ends.
        right: right edge of the box.
        bottom: lower edge of the box.
        inset: pixels between the box and the data, left and right.

    """

    first: float
    last: float
    ticks: tuple[float, ...]
    right: float
    bottom: float
    inset: tuple[float, float] = (0, 0)

    def x(self, value: float) -> float:
        """Horizontal position in pixels, clipped to the range."""
        share = (value - self.first) / (self.last - self.first)
        left, right = LEFT + self.inset[0], self.right - self.inset[1]
        return round(left + min(max(share, 0), 1) * (right - left), 1)

    def y(self, value: float) -> float:
        """Vertical position in pixels."""
        share = (self.ticks[-1] - value) / (self.ticks[-1] - self.ticks[0])
        return round(TOP + share * (self.bottom - TOP), 1)


class EndLabel(NamedTuple):
    """Vertical position in pixels, name and class of the end of a line."""

    y: float
    name: str
    style: str


def draw_value_axis(frame: Frame, *, mark_zero: bool = False) -> Iterator[str]:
    """Draw grid lines with their values; `mark_zero` gives the line at 0 the class ``zero``."""
    for tick in frame.ticks:
        y = frame.y(tick)
        yield draw_line(LEFT, y, frame.right, y, "zero" if mark_zero and tick == 0 else "grid")
        yield draw_text(LEFT - TICK_GAP, y + TICK_RISE, format_tick(tick, frame.ticks), "tick", anchor="end")


def draw_position_axis(frame: Frame, positions: Iterable[tuple[float, str]]) -> Iterator[str]:
    """Draw labels below the box; a position is a horizontal value and its text anchor."""
    for value, anchor in positions:
        yield draw_text(frame.x(value), frame.bottom + TICK_DROP, f"{value:g}", "tick", anchor=anchor)


def draw_end_labels(labels: Iterable[EndLabel], x: float, bottom: float) -> Iterator[str]:
    """Draw escaped names of lines from `x` on, above `bottom`, moved apart if they overlap."""
    ordered = sorted(labels, key=lambda label: label.y)
    positions: list[float] = []
    for label in ordered:
        positions.append(max(label.y + TICK_RISE, positions[-1] + LABEL_GAP if positions else -math.inf))
    highest = bottom + TICK_RISE
    for number in reversed(range(len(positions))):
        positions[number] = min(positions[number], highest)
        highest = positions[number] - LABEL_GAP
    for label, position in zip(ordered, positions, strict=True):
        yield draw_text(x, round(position, 1), escape(label.name), f"label {label.style}")
