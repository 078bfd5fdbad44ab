"""Score tables of report.html."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from spa3d.rendering.html import isolate_text, render_cell, render_row, render_table
from spa3d.rendering.numbers import (
    NOTHING,
    format_p_value,
    format_percent,
    format_percent_interval,
    format_points,
    format_points_interval,
)
from spa3d.report.conditions import (
    CALIBRATION,
    STATISTICS,
    describe_conditions,
    format_calibration,
    format_reach,
    has_calibration,
    list_mcnemar,
)
from spa3d.report.document import Document, ScoreLine, SubsetScore, TestedShift
from spa3d.report.figures import draw_score_bar, draw_score_scale

SUBSET_LABELS = {
    "unseen": ("unseen", "objects unlike every training object"),
    "counterfactual": ("counterfactual", "objects that break the usual pattern"),
    "flip": ("flip", "right for both clouds of a pair"),
}
LEGEND = (
    '<p class="legend"><span class="key score after"></span>after <span class="key score before"></span>before '
    '<span class="key blind after"></span>blind: the same model without the cloud '
    '<span class="key chance"></span>chance. Text floor: the best score that text alone gives. Shares in %, '
    "changes in points. Lines and small numbers are 95 % bootstrap intervals over groups of look-alike records, paired "
    f"for changes. {escape(STATISTICS)}"
)


def render_legend(document: Document) -> str:
    """Render the legend of the tables, with the conditions of their figures."""
    calibration = f" {escape(CALIBRATION)}" if has_calibration(document) else ""
    return f"{LEGEND}{calibration} {isolate_text(describe_conditions(document))}</p>"


def render_scores(head: str, lines: Iterable[ScoreLine], caption: str) -> str:
    """Render a table with a row per line; `head` is the plain heading of the first column."""
    lines = list(lines)
    calibrated = any(side and side.calibration for line in lines for side in (line.before, line.after))
    heads = [(head, "label"), (f'<span class="hidden">Picture</span>{draw_score_scale()}', "picture")]
    heads += [(name, "") for name in ("Before", "After", "Change", "Text floor", "Chance", "n")]
    heads += [("Calibration", "")] if calibrated else []
    return render_table(heads, (_row(line, calibrated) for line in lines), caption, "judged")


def _row(line: ScoreLine, calibrated: bool) -> str:
    label, hint = SUBSET_LABELS.get(line.subset, (line.label, ""))
    last = line.after or line.before
    full = label if line.subset in ("test", "kind") else f"{line.benchmark}, {label}"
    contents = {
        "Before": _score(line.before),
        "After": _score(line.after),
        "Change": _change(line.change),
        "Text floor": format_percent(last.text_floor.score) if last and last.text_floor else NOTHING,
        "Chance": format_percent(last.chance) if last else NOTHING,
        "n": f"{last.n:,}" if last else NOTHING,
    } | ({"Calibration": _calibration(line)} if calibrated else {})
    cells = [render_cell(draw_score_bar(line.before, line.after, full), kind="picture")]
    cells += [render_cell(content, label=name) for name, content in contents.items()]
    return render_row(isolate_text(label) + (f"<small>{hint}</small>" if hint else ""), cells, line.subset)


def _score(score: SubsetScore | None) -> str:
    if score is None:
        return NOTHING
    span, blind = format_percent_interval(score.ci95), format_percent(score.blind)
    return f"<b>{format_percent(score.score)}</b><small>{span}</small><small>blind {blind}</small>"


def _change(change: TestedShift | None) -> str:
    if change is None:
        return NOTHING
    mark = {1: '<i class="up">▲</i>', -1: '<i class="down">▼</i>', 0: ""}[change.side]
    notes = [format_points_interval(change.ci95), format_p_value(change.p)]
    notes += [f"could see {format_reach(change)}"] if change.mde is not None else []
    if change.mcnemar:
        p, counts = list_mcnemar(change.mcnemar)
        notes += [f"McNemar {p}", counts]
    listed = "".join(f"<small>{note}</small>" for note in notes)
    return f"<b>{mark}{format_points(change.score)}</b>{listed}"


def _calibration(line: ScoreLine) -> str:
    """Course of ECE and Brier score, before and after."""
    sides = [side.calibration for side in (line.before, line.after) if side and side.calibration]
    if not sides:
        return NOTHING
    ece, brier = (" → ".join(values) for values in zip(*map(format_calibration, sides), strict=True))
    return f"<b>{ece}</b><small>Brier {brier}</small>"
