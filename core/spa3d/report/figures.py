"""Inline SVG of the report: score bars and small charts.

Colors come from the style sheet of the page, so figures follow light and dark mode. The label of a figure contains all
its information, for screen readers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape

from spa3d.rendering.line_chart import LEFT, TOP, EndLabel, Frame, draw_end_labels, draw_position_axis, draw_value_axis
from spa3d.rendering.numbers import format_percent, format_percent_interval
from spa3d.rendering.svg import BarScale, choose_ticks, draw_circle, draw_line, draw_picture, draw_polyline, draw_text
from spa3d.report.curves import Chart, Series
from spa3d.report.document import SubsetScore

BAR_HEIGHT = 44
EXTRA_STYLES = ("extra-1", "extra-2", "extra-3")
"""Styles of the lines of a chart whose own style another line has."""
SHARES = BarScale((0.0, 0.5, 1.0), ("0", "50", "100"), edge=8)
BOTTOM = 24
NAME_GAP = 7
UNNAMED, NAMED, LETTER = 10, 62, 6.6
"""Pixels right of a chart: without line names, minimum with line names, and per letter of a name."""


def draw_score_bar(before: SubsetScore | None, after: SubsetScore | None, name: str) -> str:
    """Draw scores with their intervals on one axis, before above and after below.

    The dot is the score, the thick line its interval, the ring the blind score. The thin line from ring to dot is the
    gain from the cloud. The dashed tick is chance.
    """
    sides = [("before", "before", before, 14), ("after", "after", after, 30)]
    return _draw_bar([(role, word, scores, y) for role, word, scores, y in sides if scores], name)


def draw_single_bar(score: SubsetScore, name: str) -> str:
    """Draw one score as `draw_score_bar` does."""
    return _draw_bar([("after", "score", score, BAR_HEIGHT // 2)], name)


def _draw_bar(shown: Sequence[tuple[str, str, SubsetScore, int]], name: str) -> str:
    """Draw scores: the style, the word for the label, the score and the height of each."""
    label = "; ".join(
        f"{word} {format_percent(scores.score)} % (95 % interval {format_percent_interval(scores.ci95)}), "
        f"blind {format_percent(scores.blind)} %"
        for _, word, scores, _ in shown
    )
    chance = shown[0][2].chance if shown else 0.0
    marks = [draw_line(SHARES.x(share), 4, SHARES.x(share), BAR_HEIGHT - 4, "grid") for share in SHARES.ticks]
    marks.append(draw_line(SHARES.x(chance), 3, SHARES.x(chance), BAR_HEIGHT - 3, "chance"))
    for role, _, scores, y in shown:
        score, blind, low, high = map(SHARES.x, (scores.score, scores.blind, *scores.ci95))
        marks.append(draw_line(blind, y, score, y, f"gap {role}"))
        marks.append(draw_circle(blind, y, 5.5, f"blind {role}"))
        marks.append(draw_line(low, y, high, y, f"span {role}"))
        marks.append(draw_circle(score, y, 4, f"score {role}"))
    marks += SHARES.draw(BAR_HEIGHT + 8, "scale")
    text = escape(f"{name}: {label}; chance {format_percent(chance)} %")
    return draw_picture("bar", SHARES.width, BAR_HEIGHT, text, marks)


def draw_score_scale() -> str:
    """Draw the scale of the score bars, for the head of their column."""
    label = "scale from 0 to 100 percent"
    return draw_picture("bar axis", SHARES.width, SHARES.head_height, label, SHARES.draw(11, "tick"))


def draw_chart(chart: Chart, *, width: int = 440, height: int = 220) -> str:
    """Draw a chart with caption; the page's script adds the values under the pointer."""
    chart = _give_own_styles(chart)
    frame = _frame(chart, width, height)
    probed = {line.name for line in chart.series if line.held_out}
    marks = [*draw_value_axis(frame), *draw_position_axis(frame, ((frame.first, "start"), (frame.last, "end")))]
    marks += _alarms(chart, frame)
    marks += [_curve(line, frame, faint=not line.held_out and line.name in probed) for line in chart.series]
    marks += _end_labels(chart.series, frame)
    label = "; ".join(
        f"{_name(line)} from {line.values[0]:.3g} at step {line.steps[0]:g} "
        f"to {line.values[-1]:.3g} at step {line.steps[-1]:g}"
        for line in chart.series
    )
    data = json.dumps([[_name(line), line.steps, line.values] for line in chart.series])
    unit = f' <span class="unit">{escape(chart.unit)}</span>' if chart.unit else ""
    return (
        f'<figure class="chart" data-series="{escape(data)}" data-steps="{frame.first:g} {frame.last:g}" '
        f'data-box="{LEFT} {frame.right} {TOP} {frame.bottom}"><figcaption>{escape(chart.title)}{unit}</figcaption>'
        f"{draw_picture('chart', width, height, escape(f'{chart.title}: {label}'), marks)}<output></output></figure>"
    )


def _give_own_styles(chart: Chart) -> Chart:
    """Give every name a style of its own; the first with a style keeps it."""
    styles: dict[str, str] = {}
    for line in chart.series:
        free = [style for style in (line.style, *EXTRA_STYLES) if style not in styles.values()]
        styles.setdefault(line.name, free[0] if free else line.style)
    return chart._replace(series=tuple(line._replace(style=styles[line.name]) for line in chart.series))


def _frame(chart: Chart, width: int, height: int) -> Frame:
    """Build the frame of all lines, with room for several names."""
    steps = [step for line in chart.series for step in line.steps]
    values = [value for line in chart.series for value in line.values]
    names = {line.name for line in chart.series}
    room = max(NAMED, round(UNNAMED + LETTER * max(map(len, names)))) if len(names) > 1 else UNNAMED
    ticks = choose_ticks(min(values), max(values))
    return Frame(min(steps), max(max(steps), min(steps) + 1), ticks, width - room, height - BOTTOM)


def _alarms(chart: Chart, frame: Frame) -> Iterator[str]:
    for step in chart.alarms:
        x = frame.x(step)
        yield draw_line(x, TOP, x, frame.bottom, "alarm")
        yield draw_text(x, TOP - 4, "watchdog", "alarm", anchor="middle")


def _curve(line: Series, frame: Frame, *, faint: bool) -> str:
    kind = f"{line.style} faint" if faint else line.style
    points = [(frame.x(step), frame.y(value)) for step, value in zip(line.steps, line.values, strict=True)]
    path = draw_polyline(points, f"curve {kind}")
    if not line.held_out and len(points) > 1:
        return path
    return path + "".join(draw_circle(x, y, 2, f"point {kind}") for x, y in points)


def _end_labels(series: Sequence[Series], frame: Frame) -> Iterator[str]:
    """Draw the names at the ends of the lines; a single name is left out.

    If a name has a held-out line, the name stands at the end of that one.
    """
    ends = {line.name: line for line in sorted(series, key=lambda line: line.held_out)}
    labels = [EndLabel(frame.y(line.values[-1]), line.name, line.style) for line in ends.values()]
    return draw_end_labels(labels if len(ends) > 1 else (), frame.right + NAME_GAP, frame.bottom)


def _name(line: Series) -> str:
    return f"{line.name}, held out" if line.held_out else line.name
