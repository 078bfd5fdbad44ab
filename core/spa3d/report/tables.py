"""The tables of scores in report.html."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from spa3d.rendering.numbers import NOTHING, p_value, percent, percent_span, points, points_span
from spa3d.report.document import Line, Part, TestedShift
from spa3d.report.figures import score_axis, score_bar

PART_LABELS = {
    "counterfactual": ("counterfactual", "objects that break the usual pattern"),
    "flip": ("flip", "both of two near-twins right"),
}
LEGEND = (
    '<p class="legend"><span class="key score after"></span>after <span class="key score before"></span>before '
    '<span class="key blind after"></span>blind: the same model asked without the cloud '
    '<span class="key chance"></span>chance. Shares in %, changes in points. Lines and small figures are 95 % '
    "intervals over records; the change's is paired.</p>"
)


def text(untrusted: str) -> str:
    """Escaped, and isolated so that its writing direction cannot reorder what stands around it."""
    return f"<bdi>{escape(untrusted)}</bdi>"


def score_table(head: str, lines: Iterable[Line], caption: str) -> str:
    """A table with a row per line; on a phone the style sheet turns its rows into cards, hence the explicit roles."""
    axis = f'<span class="hidden">Picture</span>{score_axis()}'
    heads = [_head(head, "label"), _head(axis, "picture")]
    heads += [_head(name) for name in ("Before", "After", "Change", "Chance", "Questions")]
    return (
        f'<table role="table"><caption class="hidden">{escape(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{"".join(heads)}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(_row(line) for line in lines)}</tbody></table>'
    )


def _head(content: str, kind: str = "") -> str:
    return f'<th scope="col" role="columnheader" class="{kind}">{content}</th>'


def _row(line: Line) -> str:
    label, hint = PART_LABELS.get(line.part, (line.label, ""))
    last = line.after or line.before
    full = label if line.part in ("test", "kind") else f"{line.benchmark}, {label}"
    small = f"<small>{hint}</small>" if hint else ""
    cells = [
        f'<th scope="row" role="rowheader" class="label">{text(label)}{small}</th>',
        f'<td role="cell" class="picture">{score_bar(line.before, line.after, full)}</td>',
        _cell("Before", _score(line.before)),
        _cell("After", _score(line.after)),
        _cell("Change", _change(line.change)),
        _cell("Chance", percent(last.chance) if last else NOTHING),
        _cell("Questions", f"{last.n:,}" if last else NOTHING),
    ]
    return f'<tr role="row" class="{line.part}">{"".join(cells)}</tr>'


def _cell(name: str, content: str) -> str:
    return f'<td role="cell" data-label="{name}">{content}</td>'


def _score(part: Part | None) -> str:
    if part is None:
        return NOTHING
    span, blind = percent_span(part.ci95), percent(part.blind)
    return f"<b>{percent(part.score)}</b><small>{span}</small><small>blind {blind}</small>"


def _change(change: TestedShift | None) -> str:
    if change is None:
        return NOTHING
    low, high = change.ci95
    mark = '<i class="up">▲</i>' if low > 0 else '<i class="down">▼</i>' if high < 0 else ""
    span, p = points_span(change.ci95), p_value(change.p)
    return f"<b>{mark}{points(change.score)}</b><small>{span}</small><small>{p}</small>"
