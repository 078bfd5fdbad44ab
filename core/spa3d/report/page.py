"""Page report.html: one file without network access, for phones, in light and dark mode.

All text from data and models is escaped, and none of it enters a script. In addition, the content security policy of
the page forbids every connection, and every script except its own (by hash).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from html import escape
from importlib.resources import files
from typing import Any

from spa3d.rendering.cloud_scene import PITCH, build_scene
from spa3d.rendering.html import Headline, Page, isolate_text, render_definitions, render_section, render_warnings
from spa3d.report.curves import build_base_charts, build_post_training_charts
from spa3d.report.data_notes import list_data_notes
from spa3d.report.document import Document, collect_kind_lines, collect_score_lines
from spa3d.report.example_cards import join_unbroken, render_answer, render_cloud, render_question
from spa3d.report.examples import Example
from spa3d.report.figures import draw_chart
from spa3d.report.further_tables import list_sections
from spa3d.report.glossary import GLOSSARY
from spa3d.report.markdown import describe_benchmarks
from spa3d.report.run_details import format_llm, format_noise, format_title, read_reported_split, run_details
from spa3d.report.tables import render_legend, render_scores
from spa3d.report.training_sentence import describe_health
from spa3d.report.verdict import describe_cloud_gain, judge_run
from spa3d.runtime.rng import keyed_generator

PIECE = re.compile(r"(?<=,) | (?=--)")
"""Gaps between the settings of a list, and before flags."""


def render_page(document: Document, examples: Sequence[Example], metrics: Sequence[Mapping[str, Any]]) -> str:
    """Render report.html.

    Args:
        document: content of the report.
        examples: example questions with their clouds.
        metrics: rows of metrics.jsonl.

    """
    glossary = render_definitions((name, escape(meaning)) for name, meaning in GLOSSARY.items())
    sections = [
        _head(document),
        _warnings(document),
        _scores(document),
        _kinds(document),
        *list_sections({name: block.sides for name, block in document.benchmarks.items()}),
        _training(metrics),
        _examples(document, examples),
        _render_run(document),
        render_section("How to read this", glossary),
    ]
    script = files(__package__).joinpath("page.js").read_text(encoding="utf-8")
    return Page(f"{format_title(document)} · spa3d report", sections, script=script, pictures=True).render()


def _head(document: Document) -> str:
    verdict, split = judge_run(document), read_reported_split(document)
    items = [format_title(document), str(document.data.get("dataset", "")), format_llm(document)]
    items += [f"measured on {split}"] if split else []
    items += [document.status] if document.status != "complete" else []
    first, *others = verdict.evidence
    more = f"Also: {'; '.join(others)}." if others else ""
    return Headline(
        tone=verdict.tone,
        claim=f"{isolate_text(verdict.claim)}:",
        evidence=f"{isolate_text(first)}.",
        ledes=(more, describe_cloud_gain(document), describe_health(document.training.health)),
        meta=" <span>/</span> ".join(isolate_text(item) for item in items if item),
    ).render()


def _warnings(document: Document) -> str:
    items = [isolate_text(note) for note in document.notes]
    items += [f"<strong>Watchdog:</strong> {isolate_text(warning)}" for warning in document.training.warnings]
    return render_warnings([*items, *list_data_notes(document.data)])


def _scores(document: Document) -> str:
    caption = "Scores per benchmark, before and after post-training"
    items = "".join(f"<li>{isolate_text(note)}</li>" for note in describe_benchmarks(document))
    table = render_scores("Benchmark", collect_score_lines(document), caption)
    return render_section("Scores", f'{render_legend(document)}{table}<ul class="notes">{items}</ul>')


def _kinds(document: Document) -> str:
    tables = []
    for name, block in document.benchmarks.items():
        lines = list(collect_kind_lines(block))
        if len(lines) > 1:
            tables.append(
                f"<h3>{isolate_text(name)}</h3>"
                + render_scores("Kind", lines, f"Scores of {name} per kind of question")
            )
    return render_section("By kind of question", "".join(tables)) if tables else ""


def _training(metrics: Sequence[Mapping[str, Any]]) -> str:
    after, base = build_post_training_charts(metrics), build_base_charts(metrics)
    blocks = []
    if after:
        held_out = any(line.held_out for chart in after for line in chart.series)
        styles = "Faint lines are training batches, lines with dots are held-out records. " if held_out else ""
        blocks.append(f'<p class="legend">{styles}From left to right: optimizer steps.</p>')
        blocks.append(_charts(draw_chart(chart) for chart in after))
    if base:
        blocks.append("<h3>Loss of the base, stage by stage</h3>")
        blocks.append(_charts((draw_chart(chart, width=220, height=140) for chart in base), "small"))
    return render_section("Training", "".join(blocks)) if blocks else ""


def _charts(charts: Iterable[str], kind: str = "") -> str:
    return f'<div class="charts {kind}">{"".join(charts)}</div>'


def _examples(document: Document, examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    up_axis, noise = str(document.data.get("up_axis", "y")), format_noise(document) or "noise"
    cards = "".join(_example(example, up_axis, noise) for example in examples)
    hint = (
        '<p class="legend">Questions whose answer training changed come first. Drag a cloud, or use the arrow keys, to '
        "turn both clouds of an example.</p>"
    )
    return render_section("Examples", hint + cards, "examples")


def _example(example: Example, up_axis: str, noise: str) -> str:
    make_rng = partial(keyed_generator, "report", example.record_id)
    pair = build_scene(example.clean, example.noised, up_axis=up_axis, make_rng=make_rng)
    label = example.reference or example.record_id
    answers = [("Reference", example.reference), ("Before", example.before), ("After", example.after)]
    answers.append(("Blind", example.blind))
    listed = render_definitions(
        (name, render_answer(answer, None if name == "Reference" else example.reference))
        for name, answer in answers
        if answer
    )
    return (
        f'<article data-yaw="{pair.yaw:.1f}" data-pitch="{PITCH:g}" data-grain="{pair.grain:.5f}"><div class="clouds">'
        + render_cloud(pair.clean, "clean", f"Point cloud of {example.record_id}: {label}")
        + render_cloud(pair.noised, f"noised: {noise}", f"The same cloud with noise ({noise})")
        + f'</div><div class="said"><p class="question">{render_question(example.question)}</p>{listed}'
        f'<p class="meta">{isolate_text(example.record_id)}</p></div></article>'
    )


def _render_run(document: Document) -> str:
    pairs = [(name, join_unbroken(PIECE.split(value))) for name, value in run_details(document)]
    folder, curves = escape(document.predictions), escape(document.training.curves)
    pairs_note = ", the preference pairs in <code>pairs.jsonl</code>" if document.passport.get("pairs") else ""
    beside = (
        f"every answer in <code>{folder}</code>{pairs_note}, curves in <code>{curves}</code>, all figures in "
        "<code>report.json</code>, settings in <code>config.yaml</code>, hashes in <code>passport.json</code>"
    )
    pairs.append(("Other files", beside))
    wholes = {"Configuration": document.config, "Passport": document.passport}
    folded = "".join(fold_values(name, value) for name, value in wholes.items() if value)
    return render_section("How it was run", render_definitions(pairs) + folded)


def fold_values(name: str, value: Mapping[str, Any]) -> str:
    """Format nested values that are folded behind a name."""
    whole = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return f'<details><summary>{name}</summary><pre tabindex="0">{escape(whole)}</pre></details>'
