"""Pictures of a comparison: differences with their intervals, and their course over noise levels."""

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
"""Room between the box of a chart and its first and last level, for the whiskers."""
NAME_GAP = 8
STYLES = ("clean", "noised", "plain")


def make_shared_scale(scores: Sequence[Score]) -> BarScale:
    """Make the scale in points for all intervals of `scores` and for 0."""
    ends = [100 * end for score in scores for found in _lanes(score) for end in found.ci95]
    return make_points_scale(choose_ticks(min([0.0, *ends]), max([0.0, *ends])))


def make_points_scale(ticks: Sequence[float]) -> BarScale:
    """Make a scale of differences in points."""
    return BarScale(tuple(ticks), tuple(format_tick(tick, ticks) for tick in ticks), edge=EDGE)


def draw_scale(scale: BarScale) -> str:
    """Draw the scale, for the head of the column of pictures."""
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
    for found, role, y in lanes:
        if found is None:
            continue
        marks += _lane(found, scale, role, y)
        rival = "SFT" if role == "after" else "the base"
        interval = format_points_interval(found.ci95)
        labels.append(f"against {rival} {format_points(found.mean)} points, 95 % interval {interval}")
    marks += scale.draw(HEIGHT + 8, "scale")
    return draw_picture("bar forest", scale.width, HEIGHT, escape(f"{name}: {'; '.join(labels)}"), marks)


def _lane(found: Estimate, scale: BarScale, role: str, y: float) -> Iterator[str]:
    """Draw the interval of a difference, a tick per seed, and the mean."""
    yield draw_line(scale.x(100 * found.ci95[0]), y, scale.x(100 * found.ci95[1]), y, f"span {role}")
    for seed in found.seeds:
        if seed is not None:
            yield draw_line(scale.x(100 * seed), y + 6, scale.x(100 * seed), y + 9, f"seed {role}")
    yield draw_circle(scale.x(100 * found.mean), y, 4, f"{'score' if role == 'after' else 'blind'} {role}")


def _lanes(score: Score) -> list[Estimate]:
    return [score.change, *([score.against_control] if score.against_control else [])]


class Curve(NamedTuple):
    """One line over the noise level: (level, difference), in the order of the levels."""

    name: str
    places: tuple[tuple[float, Estimate], ...]


class LevelChart(NamedTuple):
    """One score over the levels of one noise."""

    noise: str
    curves: tuple[Curve, ...]


LEVEL = "noise.level"


def build_level_charts(table: Table, subset: BenchmarkSubset) -> list[LevelChart]:
    """Build a chart per noise that has two levels or more.

    It has a curve for each combination of the other settings in which rows differ.
    Differences are against the control, or against the base where no row of the table has a finished control.
    """
    lines: dict[str, dict[str, dict[float, Estimate]]] = {}
    for row in table.rows:
        score, level = table.score(row, subset), _level(row)
        if score is None or level is None or row.role == "control":
            continue
        others = [value for key, value in row.settings.items() if key not in (LEVEL, "noise") and _varies(table, key)]
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


def draw_levels(chart: LevelChart, unit: str) -> str:
    """Draw a small line chart with an interval at each level."""
    values = [100 * end for curve in chart.curves for _, found in curve.places for end in found.ci95]
    levels = [level for curve in chart.curves for level, _ in curve.places]
    ticks = choose_ticks(min([0.0, *values]), max([0.0, *values]))
    right, bottom = CHART_WIDTH - RIGHT, CHART_HEIGHT - BOTTOM
    frame = Frame(min(levels), max(levels), ticks, right, bottom, INSET)
    marks = [*draw_value_axis(frame, mark_zero=True)]
    marks += draw_position_axis(frame, ((level, "middle") for level in sorted(set(levels))))
    for number, curve in enumerate(chart.curves):
        marks += _curve(curve, frame, _style(number), 3 * (number - (len(chart.curves) - 1) / 2))
    ends = enumerate(chart.curves)
    labels = [EndLabel(frame.y(100 * curve.places[-1][1].mean), curve.name, _style(number)) for number, curve in ends]
    marks += draw_end_labels(labels, frame.right + NAME_GAP)
    label = "; ".join(
        f"{curve.name} at level {level:g}: {format_points(found.mean)} points ({format_points_interval(found.ci95)})"
        for curve in chart.curves
        for level, found in curve.places
    )
    return (
        f'<figure class="chart"><figcaption><bdi>{escape(chart.noise)}</bdi> '
        f'<span class="unit">{escape(unit)}</span></figcaption>'
        f"{draw_picture('chart', CHART_WIDTH, CHART_HEIGHT, escape(f'{chart.noise}: {label}'), marks)}</figure>"
    )


def _style(number: int) -> str:
    return STYLES[number % len(STYLES)]


def _curve(curve: Curve, frame: Frame, style: str, shift: float) -> Iterator[str]:
    """Draw the line, its dots and whiskers; `shift` keeps the whiskers of several curves apart."""
    places = [(round(frame.x(level) + shift, 1), found) for level, found in curve.places]
    yield draw_polyline(((x, frame.y(100 * found.mean)) for x, found in places), f"curve {style}")
    for x, found in places:
        low, high = (frame.y(100 * end) for end in found.ci95)
        yield draw_line(x, low, x, high, f"whisker {style}")
        yield draw_circle(x, frame.y(100 * found.mean), 3, f"point {style}")


def _level(row: TableRow) -> float | None:
    try:
        level = float(row.settings[LEVEL])
    except (KeyError, ValueError):
        return None
    return level if math.isfinite(level) else None


def _varies(table: Table, key: str) -> bool:
    """Whether rows with a level differ in this setting."""
    return len({row.settings.get(key) for row in table.rows if _level(row) is not None and row.role == "row"}) > 1
