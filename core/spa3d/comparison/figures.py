"""Pictures of a comparison: differences with their intervals on one axis, and how they depend on the noise level."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from spa3d.comparison.document import Estimate, Score, Table, TableRow
from spa3d.rendering.numbers import points, points_span
from spa3d.rendering.svg import round_ticks, stroke, svg, tick_text

WIDTH, HEIGHT, EDGE = 240, 40, 14
BASE_LANE, CONTROL_LANE = 27, 13
CHART_WIDTH, CHART_HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 440, 220, 40, 88, 16, 26
LABEL_GAP = 13
STYLES = ("clean", "noised", "plain")


class Axis(NamedTuple):
    """Differences in points from the first tick to the last; 0 is among them."""

    ticks: tuple[float, ...]

    def x(self, difference: float) -> float:
        """Where a difference (a share of 1) stands."""
        share = (100 * difference - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return round(EDGE + min(max(share, 0), 1) * (WIDTH - 2 * EDGE), 1)


def shared_axis(scores: Sequence[Score]) -> Axis:
    """The axis on which all of `scores` fit."""
    ends = [100 * end for score in scores for found in _lanes(score) for end in found.ci95]
    return Axis(round_ticks(min([0.0, *ends]), max([0.0, *ends])))


def axis_scale(axis: Axis) -> str:
    """The scale, for the head of the column of pictures."""
    told = f"scale from {tick_text(axis.ticks[0], axis.ticks)} to {tick_text(axis.ticks[-1], axis.ticks)} points"
    return svg("forest axis", WIDTH, 14, escape(told), _scale(axis, 11, "tick"))


def forest(score: Score, axis: Axis, name: str) -> str:
    """One row: a filled dot is the difference against the control, a ring against the base; lines are intervals."""
    marks = [
        stroke(axis.x(tick / 100), 0, axis.x(tick / 100), HEIGHT, "zero" if tick == 0 else "grid")
        for tick in axis.ticks
    ]
    told = []
    for found, role, y in (
        (score.change, "before", BASE_LANE),
        (score.against_control, "after", CONTROL_LANE),
    ):
        if found is None:
            continue
        marks.append(stroke(axis.x(found.ci95[0]), y, axis.x(found.ci95[1]), y, f"span {role}"))
        for seed in found.seeds:
            if seed is not None:
                marks.append(stroke(axis.x(seed), y + 6, axis.x(seed), y + 9, f"seed {role}"))
        kind = "score" if role == "after" else "blind"
        marks.append(f'<circle class="{kind} {role}" cx="{axis.x(found.mean)}" cy="{y}" r="4"/>')
        rival = "SFT" if role == "after" else "the base"
        told.append(f"against {rival} {points(found.mean)} points, 95 % interval {points_span(found.ci95)}")
    marks += _scale(axis, HEIGHT + 8, "scale")
    return svg("bar forest", WIDTH, HEIGHT, escape(f"{name}: {'; '.join(told)}"), marks)


def _lanes(score: Score) -> list[Estimate]:
    return [score.change, *([score.against_control] if score.against_control else [])]


def _scale(axis: Axis, y: float, kind: str) -> list[str]:
    told = [(axis.x(tick / 100), tick_text(tick, axis.ticks)) for tick in axis.ticks]
    return [f'<text class="{kind}" x="{x}" y="{y}" text-anchor="middle">{tick}</text>' for x, tick in told]


class Curve(NamedTuple):
    """One line over the noise level: (level, difference), in the order of the levels."""

    name: str
    places: tuple[tuple[float, Estimate], ...]


class LevelChart(NamedTuple):
    """How one score depends on the level of one noise."""

    noise: str
    curves: tuple[Curve, ...]


LEVEL = "noise.level"


def level_charts(table: Table, part: tuple[str, str]) -> list[LevelChart]:
    """A chart per noise whose rows stand at two levels or more; a curve per whatever else tells the rows apart.

    Differences are against the control, or against the base where no row of the table has a finished control.
    """
    lines: dict[str, dict[str, dict[float, Estimate]]] = {}
    for row in table.rows:
        score, level = table.score(row, part), _level(row)
        if score is None or level is None or row.role == "control":
            continue
        others = [value for key, value in row.settings.items() if key not in (LEVEL, "noise") and _tells(table, key)]
        found = score.against_control if table.family.comparisons else score.change
        if found is not None:
            noise = lines.setdefault(row.settings.get("noise", "noise"), {})
            noise.setdefault(", ".join(others) or row.settings.get("objective", ""), {})[level] = found
    charts = [
        LevelChart(
            noise,
            tuple(Curve(name, tuple(sorted(places.items()))) for name, places in curves.items() if len(places) > 1),
        )
        for noise, curves in lines.items()
    ]
    return [chart for chart in charts if chart.curves]


def level_figure(chart: LevelChart, unit: str) -> str:
    """A small line chart with an interval at each level."""
    values = [100 * end for curve in chart.curves for _, found in curve.places for end in found.ci95]
    levels = [level for curve in chart.curves for level, _ in curve.places]
    frame = _Frame(min(levels), max(levels), round_ticks(min([0.0, *values]), max([0.0, *values])))
    marks = list(_axes(frame, sorted(set(levels))))
    for number, curve in enumerate(chart.curves):
        marks += _curve(curve, frame, STYLES[number % len(STYLES)], 3 * (number - (len(chart.curves) - 1) / 2))
    marks += _names(chart.curves, frame)
    told = "; ".join(
        f"{curve.name} at level {level:g}: {points(found.mean)} points ({points_span(found.ci95)})"
        for curve in chart.curves
        for level, found in curve.places
    )
    return (
        f'<figure class="chart"><figcaption><bdi>{escape(chart.noise)}</bdi> '
        f'<span class="unit">{escape(unit)}</span></figcaption>'
        f"{svg('chart', CHART_WIDTH, CHART_HEIGHT, escape(f'{chart.noise}: {told}'), marks)}</figure>"
    )


class _Frame(NamedTuple):
    first: float
    last: float
    ticks: tuple[float, ...]

    def x(self, level: float) -> float:
        share = (level - self.first) / (self.last - self.first)
        return round(LEFT + 8 + share * (CHART_WIDTH - RIGHT - LEFT - 8), 1)

    def y(self, value: float) -> float:
        share = (self.ticks[-1] - 100 * value) / (self.ticks[-1] - self.ticks[0])
        return round(TOP + share * (CHART_HEIGHT - BOTTOM - TOP), 1)


def _axes(frame: _Frame, levels: Sequence[float]) -> Iterator[str]:
    right = CHART_WIDTH - RIGHT + 6
    for tick in frame.ticks:
        y = frame.y(tick / 100)
        yield stroke(LEFT, y, right, y, "zero" if tick == 0 else "grid")
        yield f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5}" text-anchor="end">{tick_text(tick, frame.ticks)}</text>'
    for level in levels:
        y = CHART_HEIGHT - BOTTOM + 17
        yield f'<text class="tick" x="{frame.x(level)}" y="{y}" text-anchor="middle">{level:g}</text>'


def _curve(curve: Curve, frame: _Frame, style: str, shift: float) -> Iterator[str]:
    """The line, its dots and whiskers; `shift` keeps the whiskers of several curves apart."""
    places = [(frame.x(level) + shift, found) for level, found in curve.places]
    path = " ".join(f"{x:.1f},{frame.y(found.mean)}" for x, found in places)
    yield f'<polyline class="curve {style}" points="{path}"/>'
    for x, found in places:
        yield stroke(round(x, 1), frame.y(found.ci95[0]), round(x, 1), frame.y(found.ci95[1]), f"whisker {style}")
        yield f'<circle class="point {style}" cx="{x:.1f}" cy="{frame.y(found.mean)}" r="3"/>'


def _names(curves: Sequence[Curve], frame: _Frame) -> Iterator[str]:
    """The name of each curve at its end, pushed apart."""
    lowest = -math.inf
    for number, curve in sorted(enumerate(curves), key=lambda pair: frame.y(pair[1].places[-1][1].mean)):
        lowest = max(frame.y(curve.places[-1][1].mean) + 3.5, lowest + LABEL_GAP)
        x, style = CHART_WIDTH - RIGHT + 14, STYLES[number % len(STYLES)]
        yield f'<text class="label {style}" x="{x}" y="{lowest}">{escape(curve.name)}</text>'


def _level(row: TableRow) -> float | None:
    try:
        level = float(row.settings[LEVEL])
    except (KeyError, ValueError):
        return None
    return level if math.isfinite(level) else None


def _tells(table: Table, key: str) -> bool:
    """Whether rows that have a level differ in this setting."""
    return len({row.settings.get(key) for row in table.rows if _level(row) is not None and row.role == "row"}) > 1
