"""Inline SVG for the report: score bars and small charts.

Colours come from the page's style sheet, so that a figure follows light and dark; whatever a figure shows is also said
in its label, for those who cannot see it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from spa3d.rendering.numbers import percent, percent_span
from spa3d.rendering.svg import round_ticks, stroke, svg, tick_text
from spa3d.report.curves import Chart, Series
from spa3d.report.document import Part

BAR_WIDTH, BAR_HEIGHT, BAR_EDGE = 240, 44, 8
LEFT, TOP, BOTTOM = 40, 16, 24
UNNAMED, NAMED, LETTER = 10, 62, 6.6
"""Room on the right of a chart without names at the ends of its lines, the least with them, and that of a letter."""
LABEL_GAP = 13
"""Pixels between two labels at the ends of lines."""


def score_bar(before: Part | None, after: Part | None, name: str) -> str:
    """Scores with their intervals on one axis from 0 to 100 %, before in the upper lane and after in the lower.

    A dot is a score, the thick line through it its interval, a ring the blind score, the thin line between the two
    what the cloud is worth, the dashed tick chance.
    """
    sides = [("before", before, 14), ("after", after, 30)]
    shown = [(role, part, y) for role, part, y in sides if part]
    label = "; ".join(
        f"{role} {percent(part.score)} % (95 % interval {percent_span(part.ci95)}), blind {percent(part.blind)} %"
        for role, part, _ in shown
    )
    chance = shown[0][1].chance if shown else 0.0
    marks = [stroke(_x(share), 4, _x(share), BAR_HEIGHT - 4, "grid") for share in (0.0, 0.5, 1.0)]
    marks.append(stroke(_x(chance), 3, _x(chance), BAR_HEIGHT - 3, "chance"))
    for role, part, y in shown:
        marks.append(stroke(_x(part.blind), y, _x(part.score), y, f"gap {role}"))
        marks.append(f'<circle class="blind {role}" cx="{_x(part.blind)}" cy="{y}" r="5.5"/>')
        marks.append(stroke(_x(part.ci95[0]), y, _x(part.ci95[1]), y, f"span {role}"))
        marks.append(f'<circle class="score {role}" cx="{_x(part.score)}" cy="{y}" r="4"/>')
    marks += _scale(BAR_HEIGHT + 8, "scale")
    text = escape(f"{name}: {label}; chance {percent(chance)} %")
    return svg("bar", BAR_WIDTH, BAR_HEIGHT, text, marks)


def score_axis() -> str:
    """The scale of the score bars, for the head of their column."""
    return svg("bar axis", BAR_WIDTH, 14, "scale from 0 to 100 percent", _scale(11, "tick"))


def line_chart(chart: Chart, *, width: int = 440, height: int = 220) -> str:
    """A chart as a figure with caption; the page's script adds the reading under the pointer."""
    frame = _frame(chart, width, height)
    probed = {line.name for line in chart.series if line.held_out}
    marks = [*_axes(frame), *_alarms(chart, frame)]
    marks += [_curve(line, frame, faint=not line.held_out and line.name in probed) for line in chart.series]
    marks += _end_labels(chart.series, frame)
    told = "; ".join(
        f"{_name(line)} from {line.values[0]:.3g} at step {line.steps[0]:g} "
        f"to {line.values[-1]:.3g} at step {line.steps[-1]:g}"
        for line in chart.series
    )
    data = json.dumps([[_name(line), line.steps, line.values] for line in chart.series])
    unit = f' <span class="unit">{escape(chart.unit)}</span>' if chart.unit else ""
    return (
        f'<figure class="chart" data-series="{escape(data)}" data-steps="{frame.first:g} {frame.last:g}" '
        f'data-box="{LEFT} {frame.right} {TOP} {frame.bottom}"><figcaption>{escape(chart.title)}{unit}</figcaption>'
        f"{svg('chart', width, height, escape(f'{chart.title}: {told}'), marks)}<output></output></figure>"
    )


class _Frame(NamedTuple):
    """The data range of a chart and its edges in pixels."""

    first: float
    last: float
    ticks: tuple[float, ...]
    right: float
    bottom: float

    def x(self, step: float) -> float:
        share = (step - self.first) / (self.last - self.first)
        return round(LEFT + min(max(share, 0), 1) * (self.right - LEFT), 1)

    def y(self, value: float) -> float:
        share = (self.ticks[-1] - value) / (self.ticks[-1] - self.ticks[0])
        return round(TOP + share * (self.bottom - TOP), 1)


def _frame(chart: Chart, width: int, height: int) -> _Frame:
    steps = [step for line in chart.series for step in line.steps]
    values = [value for line in chart.series for value in line.values]
    names = {line.name for line in chart.series}
    room = max(NAMED, round(UNNAMED + LETTER * max(map(len, names)))) if len(names) > 1 else UNNAMED
    ticks = round_ticks(min(values), max(values))
    return _Frame(min(steps), max(max(steps), min(steps) + 1), ticks, width - room, height - BOTTOM)


def _axes(frame: _Frame) -> Iterator[str]:
    for tick in frame.ticks:
        y = frame.y(tick)
        yield stroke(LEFT, y, frame.right, y, "grid")
        yield f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5}" text-anchor="end">{tick_text(tick, frame.ticks)}</text>'
    for step, anchor in ((frame.first, "start"), (frame.last, "end")):
        yield f'<text class="tick" x="{frame.x(step)}" y="{frame.bottom + 17}" text-anchor="{anchor}">{step:g}</text>'


def _alarms(chart: Chart, frame: _Frame) -> Iterator[str]:
    for step in chart.alarms:
        x = frame.x(step)
        yield stroke(x, TOP, x, frame.bottom, "alarm")
        yield f'<text class="alarm" x="{x}" y="{TOP - 4}" text-anchor="middle">watchdog</text>'


def _curve(line: Series, frame: _Frame, *, faint: bool) -> str:
    kind = f"{line.style} faint" if faint else line.style
    places = [(frame.x(step), frame.y(value)) for step, value in zip(line.steps, line.values, strict=True)]
    path = f'<polyline class="curve {kind}" points="{" ".join(f"{x},{y}" for x, y in places)}"/>'
    if not line.held_out and len(places) > 1:
        return path
    return path + "".join(f'<circle class="point {kind}" cx="{x}" cy="{y}" r="2"/>' for x, y in places)


def _end_labels(series: Sequence[Series], frame: _Frame) -> list[str]:
    """The name of each line at its end, pushed apart; the held-out line's end where there is one."""
    ends = {line.name: line for line in sorted(series, key=lambda line: line.held_out)}
    texts, lowest = [], -math.inf
    for line in sorted(ends.values(), key=lambda line: frame.y(line.values[-1])):
        lowest = max(frame.y(line.values[-1]) + 3.5, lowest + LABEL_GAP)
        place = f'x="{frame.right + 7}" y="{lowest}"'
        texts.append(f'<text class="label {line.style}" {place}>{escape(line.name)}</text>')
    return texts if len(ends) > 1 else []


def _name(line: Series) -> str:
    return f"{line.name}, held out" if line.held_out else line.name


def _scale(y: float, kind: str) -> list[str]:
    return [
        f'<text class="{kind}" x="{_x(share)}" y="{y}" text-anchor="middle">{100 * share:.0f}</text>'
        for share in (0.0, 0.5, 1.0)
    ]


def _x(share: float) -> float:
    return round(BAR_EDGE + share * (BAR_WIDTH - 2 * BAR_EDGE), 1)
