"""Page report.html of an evaluation: one file that needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from html import escape
from importlib.resources import files

from spa3d.rendering.cloud_scene import PITCH, build_scene
from spa3d.rendering.html import (
    Headline,
    Page,
    isolate_text,
    render_cell,
    render_definitions,
    render_row,
    render_section,
    render_table,
    render_warnings,
)
from spa3d.rendering.numbers import (
    NOTHING,
    format_percent,
    format_percent_interval,
    format_points,
    format_points_interval,
)
from spa3d.report.conditions import format_calibration, format_reach, list_mcnemar
from spa3d.report.data_notes import list_data_notes
from spa3d.report.document import BenchmarkScore, Shift
from spa3d.report.evaluation.document import (
    EvaluationDocument,
    ModelLine,
    ModelScore,
    collect_kinds,
    collect_model_lines,
    collect_views,
)
from spa3d.report.evaluation.examples import AnsweredExample
from spa3d.report.evaluation.wording import (
    describe_gains,
    describe_scores,
    describe_statistics,
    describe_table,
    format_headline,
    list_conditions,
)
from spa3d.report.example_cards import render_answer, render_cloud, render_question
from spa3d.report.figures import draw_score_scale, draw_single_bar
from spa3d.report.further_tables import list_sections
from spa3d.report.glossary import GLOSSARY
from spa3d.report.page import fold_values
from spa3d.report.tables import SUBSET_LABELS
from spa3d.runtime.rng import keyed_generator

TERMS = ("Blind", "Text floor", "Chance", "Usual answer", "95 % interval", "Counterfactual", "Flip")
"""Words of the glossary that the page needs."""
LEGEND = (
    '<span class="key score after"></span>score <span class="key blind after"></span>blind: the same model without the '
    'cloud <span class="key chance"></span>chance. Text floor: the best score that text alone gives. Shares in %. '
    "Lines and small numbers are 95 % intervals over groups of look-alike records."
)


def render_page(document: EvaluationDocument, examples: Sequence[AnsweredExample]) -> str:
    """Render report.html."""
    conditions = isolate_text(describe_table(document))
    legend = f'<p class="legend">{LEGEND} {escape(describe_statistics(document))} {conditions}</p>'
    under = f'<p class="legend">{conditions}</p>'
    sections = [
        _head(document),
        _warnings(document),
        _scores(document, legend),
        _kinds(document, under),
        _views(document, under),
        *list_sections({name: score.sides for name, score in document.benchmarks.items()}),
        _examples(document, examples),
        _conditions(document),
        render_section("How to read this", render_definitions((name, escape(GLOSSARY[name])) for name in TERMS)),
    ]
    script = files("spa3d.report").joinpath("page.js").read_text(encoding="utf-8")
    title = f"{format_headline(document)[0]} · spa3d evaluation"
    return Page(title, sections, script=script, pictures=True).render()


def _head(document: EvaluationDocument) -> str:
    subject, score = format_headline(document)
    items = [f"split {document.conditions.get('split')}", ", ".join(document.benchmarks)]
    return Headline(
        tone="even",
        claim=f"{isolate_text(subject)}:",
        evidence=f"{isolate_text(score)}.",
        ledes=describe_gains(document),
        meta=" <span>/</span> ".join(isolate_text(item) for item in items if item),
    ).render()


def _warnings(document: EvaluationDocument) -> str:
    return render_warnings([*map(isolate_text, document.notes), *list_data_notes(document.data)])


def _scores(document: EvaluationDocument, legend: str) -> str:
    items = "".join(f"<li>{isolate_text(note)}</li>" for note in describe_scores(document))
    table = _render_scores("Benchmark", collect_model_lines(document), "Scores per benchmark")
    return render_section("Scores", f'{legend}{table}<ul class="notes">{items}</ul>')


def _kinds(document: EvaluationDocument, under: str) -> str:
    tables = [
        f"<h3>{isolate_text(name)}</h3>"
        + _render_scores("Kind", collect_kinds(block), f"Scores of {name} per kind of question")
        for name, block in document.benchmarks.items()
        if collect_kinds(block)
    ]
    return render_section("By kind of question", under + "".join(tables)) if tables else ""


def _views(document: EvaluationDocument, under: str) -> str:
    rows = []
    for name, view, part in collect_views(document):
        span = f"<b>{format_percent(part.score)}</b><small>{format_percent_interval(part.ci95)}</small>"
        contents = {"Score": span, "Minus clean": _stack_shift(part.change), "Chance": format_percent(part.chance)}
        contents["n"] = f"{part.n:,}"
        cells = [render_cell(content, label=head) for head, content in contents.items()]
        rows.append(render_row(isolate_text(f"{name}, {view}"), cells))
    if not rows:
        return ""
    heads = [("View", "label"), *((head, "") for head in ("Score", "Minus clean", "Chance", "n"))]
    return render_section("Views", under + render_table(heads, rows, "Scores per benchmark and view"))


def _render_scores(head: str, lines: Iterable[ModelLine], caption: str) -> str:
    lines = list(lines)
    calibrated = any(line.score.calibration for line in lines)
    rows = [_contents(line) | (_calibration(line) if calibrated else {}) for line in lines]
    heads = [(head, "label"), (f'<span class="hidden">Picture</span>{draw_score_scale()}', "picture")]
    heads += [(name, "") for name in rows[0]]
    return render_table(heads, map(_row, lines, rows), caption, "judged")


def _row(line: ModelLine, contents: dict[str, str]) -> str:
    label, hint = SUBSET_LABELS.get(line.subset, (line.label, ""))
    full = label if line.subset in ("test", "kind") else f"{line.benchmark}, {label}"
    cells = [render_cell(draw_single_bar(line.score, full), kind="picture")]
    cells += [render_cell(content, label=name) for name, content in contents.items()]
    return render_row(isolate_text(label) + (f"<small>{hint}</small>" if hint else ""), cells, line.subset)


def _calibration(line: ModelLine) -> dict[str, str]:
    if not line.score.calibration:
        return {"Calibration": NOTHING}
    ece, brier = format_calibration(line.score.calibration)
    return {"Calibration": f"<b>{ece}</b><small>Brier {brier}</small>"}


def _contents(line: ModelLine) -> dict[str, str]:
    """Cells of a line by the name of their column."""
    score = line.score
    gap = score.gap if isinstance(score, BenchmarkScore) else None
    spread = score.spread if isinstance(score, ModelScore) else None
    over = f"<small>± {format_percent(spread)} over draws</small>" if spread is not None else ""
    span, blind = format_percent_interval(score.ci95), format_percent_interval(score.blind_ci95)
    return {
        "Score": f"<b>{format_percent(score.score)}</b><small>{span}</small>{over}",
        "Blind": f"<b>{format_percent(score.blind)}</b><small>{blind}</small>",
        "Cloud minus blind": _stack_shift(gap),
        "Text floor": format_percent(score.text_floor.score) if score.text_floor else NOTHING,
        "Chance": format_percent(score.chance),
        "n": f"{score.n:,}",
    }


def _stack_shift(shift: Shift | None) -> str:
    """A difference with its interval, what could have been seen, and McNemar's test."""
    if shift is None:
        return NOTHING
    notes = [format_points_interval(shift.ci95)]
    notes += [f"could see {format_reach(shift)}"] if shift.mde is not None else []
    if shift.mcnemar:
        p, counts = list_mcnemar(shift.mcnemar)
        notes += [f"McNemar {p}", counts]
    return f"<b>{format_points(shift.score)}</b>" + "".join(f"<small>{note}</small>" for note in notes)


def _examples(document: EvaluationDocument, examples: Sequence[AnsweredExample]) -> str:
    if not examples:
        return ""
    up_axis = str(document.data.get("up_axis", "y"))
    hint = (
        '<p class="legend">Questions whose answer the cloud changes come first. Drag a cloud, or use the arrow keys, '
        "to turn it.</p>"
    )
    return render_section("Examples", hint + "".join(_cards(examples, up_axis)), "examples")


def _cards(examples: Sequence[AnsweredExample], up_axis: str) -> Iterator[str]:
    for each in examples:
        make_rng = partial(keyed_generator, "report", each.record_id)
        scene = build_scene(each.cloud, each.cloud, up_axis=up_axis, make_rng=make_rng)
        answers = [("Reference", each.reference, None), ("Answer", each.answer, each.reference)]
        answers.append(("Blind", each.blind, each.reference))
        listed = render_definitions((name, render_answer(text, same)) for name, text, same in answers if text)
        label = f"Point cloud of {each.record_id}: {each.reference}"
        yield (
            f'<article data-yaw="{scene.yaw:.1f}" data-pitch="{PITCH:g}" data-grain="{scene.grain:.5f}">'
            f'<div class="clouds">{render_cloud(scene.clean, "the cloud", label)}</div>'
            f'<div class="said"><p class="question">{render_question(each.question)}</p>{listed}'
            f'<p class="meta">{isolate_text(each.record_id)}</p></div></article>'
        )


def _conditions(document: EvaluationDocument) -> str:
    pairs = [(name, isolate_text(value)) for name, value in list_conditions(document)]
    folder = escape(document.predictions)
    pairs.append(("Other files", f"every answer in <code>{folder}</code>, all figures in <code>report.json</code>"))
    wholes = {"Conditions": document.conditions, "Passport": document.passport}
    folded = "".join(fold_values(name, value) for name, value in wholes.items())
    return render_section("How it was asked", render_definitions(pairs) + folded)
