"""SVG pictures of a comparison: differences with intervals, line charts over noise levels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from spa3d.comparison.document import BenchmarkSubset, Estimate, Score, Table, TableRow
from spa3d.rendering.line_chart import (
    EndLabel,
    Frame,
    draw_end_labels,
    draw_position_axis,
    draw_value_axis,
)
from spa3d.rendering.numbers import format_points, format_points_interval
from spa3d.rendering.svg import (
    BarScale,
    choose_ticks,
    draw_circle,
    draw_line,
    draw_picture,
    draw_polyline,
    format_tick,
)

HEIGHT, EDGE = 40, 14
BASE_LANE, CONTROL_LANE = 27, 13
CHART_WIDTH, CHART_HEIGHT, RIGHT, BOTTOM = 440, 220, 82, 26
INSET = (8, 6)
"""Space for whiskers between the frame of a chart and its first and last level."""
NAME_GAP = 8
STYLES = ("clean", "noised", "plain")


def make_shared_scale(scores: Sequence[Score]) -> BarScale:
    """Make one scale, in points, that contains 0 and all intervals of `scores`."""
    ends = [100 * end for score in scores for estimate in _list_lanes(score) for end in estimate.ci95]
    return make_points_scale(choose_ticks(min([0.0, *ends]), max([0.0, *ends])))


def make_points_scale(ticks: Sequence[float]) -> BarScale:
    """Make a scale of differences in points."""
    return BarScale(tuple(ticks), tuple(format_tick(tick, ticks) for tick in ticks), edge=EDGE)


def draw_scale(scale: BarScale) -> str:
    """Draw the scale for the header of the picture column."""
    label = escape(f"scale from {scale.labels[0]} to {scale.labels[-1]} points")
    return draw_picture("forest axis", scale.width, scale.head_height, label, scale.draw(11, "tick"))


def draw_forest(score: Score, scale: BarScale, name: str) -> str:
    """Draw the differences of one row with their intervals.

    A filled dot is the difference against the control, a ring the one against the base.
    """
    marks = [
        draw_line(scale.x(tick), 0, scale.x(tick), HEIGHT, "zero" if tick == 0 else "grid") for tick in scale.ticks
    ]
    lanes = [(score.change, "before", BASE_LANE), (score.against_control, "after", CONTROL_LANE)]
    labels = []
    for estimate, role, y in lanes:
        if estimate is None:
            continue
        marks += _draw_lane(estimate, scale, role, y)
        rival = "SFT" if role == "after" else "the base"
        interval = format_points_interval(estimate.ci95)
        labels.append(f"against {rival} {format_points(estimate.mean)} points, 95 % interval {interval}")
    marks += scale.draw(HEIGHT + 8, "scale")
    return draw_picture("bar forest", scale.width, HEIGHT, escape(f"{name}: {'; '.join(labels)}"), marks)


def _draw_lane(estimate: Estimate, scale: BarScale, role: str, y: float) -> Iterator[str]:
    """Draw the interval of a difference, a tick per seed, and the mean."""
    yield draw_line(scale.x(100 * estimate.ci95[0]), y, scale.x(100 * estimate.ci95[1]), y, f"span {role}")
    for seed in estimate.seeds:
        if seed is not None:
            yield draw_line(scale.x(100 * seed), y + 6, scale.x(100 * seed), y + 9, f"seed {role}")
    yield draw_circle(scale.x(100 * estimate.mean), y, 4, f"{'score' if role == 'after' else 'blind'} {role}")


def _list_lanes(score: Score) -> list[Estimate]:
    return [score.change, *([score.against_control] if score.against_control else [])]


class Curve(NamedTuple):
    """One line over the noise level: pairs (level, difference), sorted by level."""

    name: str
    points: tuple[tuple[float, Estimate], ...]


class LevelChart(NamedTuple):
    """One score over the levels of one noise."""

    noise: str
    curves: tuple[Curve, ...]


LEVEL = "noise.level"


def build_level_charts(table: Table, subset: BenchmarkSubset) -> list[LevelChart]:
    """Build a chart per noise that has two levels or more.

    A chart has one curve for each combination of the other settings that vary among rows.
    Differences are against the control; against the base if no row of the table has a finished control.
    """
    lines: dict[str, dict[str, dict[float, Estimate]]] = {}
    for row in table.rows:
        score, level = table.score(row, subset), _read_level(row)
        if score is None or level is None or row.role == "control":
            continue
        others = [value for key, value in row.settings.items() if key not in (LEVEL, "noise") and _varies(table, key)]
        estimate = score.against_control if table.family.comparisons else score.change
        if estimate is not None:
            noise = lines.setdefault(row.settings.get("noise", "noise"), {})
            noise.setdefault(", ".join(others) or row.settings.get("objective", ""), {})[level] = estimate
    charts = [
        LevelChart(
            noise,
            tuple(Curve(name, tuple(sorted(points.items()))) for name, points in curves.items() if len(points) > 1),
        )
        for noise, curves in lines.items()
    ]
    return [chart for chart in charts if chart.curves]


def draw_levels(chart: LevelChart, unit: str) -> str:
    """Draw a small line chart with an interval at each level."""
    values = [100 * end for curve in chart.curves for _, estimate in curve.points for end in estimate.ci95]
    levels = [level for curve in chart.curves for level, _ in curve.points]
    ticks = choose_ticks(min([0.0, *values]), max([0.0, *values]))
    right, bottom = CHART_WIDTH - RIGHT, CHART_HEIGHT - BOTTOM
    frame = Frame(min(levels), max(levels), ticks, right, bottom, INSET)
    marks = [*draw_value_axis(frame, mark_zero=True)]
    marks += draw_position_axis(frame, ((level, "middle") for level in sorted(set(levels))))
    for number, curve in enumerate(chart.curves):
        marks += _draw_curve(curve, frame, _choose_style(number), 3 * (number - (len(chart.curves) - 1) / 2))
    numbered = enumerate(chart.curves)
    labels = [
        EndLabel(frame.y(100 * curve.points[-1][1].mean), curve.name, _choose_style(number))
        for number, curve in numbered
    ]
    marks += draw_end_labels(labels, frame.right + NAME_GAP, frame.bottom)
    label = "; ".join(
        f"{curve.name} at level {level:g}: {format_points(estimate.mean)} points "
        f"({format_points_interval(estimate.ci95)})"
        for curve in chart.curves
        for level, estimate in curve.points
    )
    return (
        f'<figure class="chart"><figcaption><bdi>{escape(chart.noise)}</bdi> '
        f'<span class="unit">{escape(unit)}</span></figcaption>'
        f"{draw_picture('chart', CHART_WIDTH, CHART_HEIGHT, escape(f'{chart.noise}: {label}'), marks)}</figure>"
    )


def _choose_style(number: int) -> str:
    return STYLES[number % len(STYLES)]


def _draw_curve(curve: Curve, frame: Frame, style: str, shift: float) -> Iterator[str]:
    """Draw a line with dots and whiskers; `shift` separates the whiskers of several curves."""
    points = [(round(frame.x(level) + shift, 1), estimate) for level, estimate in curve.points]
    yield draw_polyline(((x, frame.y(100 * estimate.mean)) for x, estimate in points), f"curve {style}")
    for x, estimate in points:
        low, high = (frame.y(100 * end) for end in estimate.ci95)
        yield draw_line(x, low, x, high, f"whisker {style}")
        yield draw_circle(x, frame.y(100 * estimate.mean), 3, f"point {style}")


def _read_level(row: TableRow) -> float | None:
    try:
        level = float(row.settings[LEVEL])
    except (KeyError, ValueError):
        return None
    return level if math.isfinite(level) else None


def _varies(table: Table, key: str) -> bool:
    """Whether rows with a level differ in this setting."""
    return len({row.settings.get(key) for row in table.rows if _read_level(row) is not None and row.role == "row"}) > 1
