"""report.html: one file that needs no network, reads on a phone, and follows light and dark.

Text from data and models is escaped wherever it enters, and nothing of it ever enters a script. As a second wall the
page's own policy forbids every connection and every script but the one below, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from spa3d.rendering.cloud_scene import PICTURE_SIZE, PITCH, View, scene
from spa3d.rendering.numbers import count
from spa3d.report.curves import base_charts, post_training_charts
from spa3d.report.document import Document, kind_lines, score_lines
from spa3d.report.examples import Example
from spa3d.report.figures import line_chart
from spa3d.report.glossary import GLOSSARY
from spa3d.report.markdown import notes, skipped
from spa3d.report.run_details import llm_name, noise_name, recipe, reported_split, title
from spa3d.report.tables import LEGEND, score_table, text
from spa3d.report.training_sentence import health_sentence
from spa3d.report.verdict import cloud_worth, verdict

OPTION = re.compile(r"\s+(?=[A-H]\) )")
"""The gaps before lettered options, as `spa3d.data.questions` writes them."""
PIECE = re.compile(r"(?<=,) | (?=--)")
"""The gaps between the settings of a list, and before flags."""


def html_page(document: Document, examples: Sequence[Example], metrics: Sequence[Mapping[str, Any]]) -> str:
    """The text of report.html.

    Args:
        document: what is reported.
        examples: shown with their clouds.
        metrics: the rows of metrics.jsonl.

    """
    script, style = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    sections = [
        _head(document),
        _warnings(document),
        _scores(document),
        _kinds(document),
        _training(metrics),
        _examples(document, examples),
        _how(document),
        _section("How to read this", _definitions((name, escape(told)) for name, told in GLOSSARY.items())),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title(document))} · spa3d report</title>\n<style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(section for section in sections if section)
        + f"\n</main>\n<script>{script}</script></body></html>\n"
    )


def _head(document: Document) -> str:
    judged, worth, health = verdict(document), cloud_worth(document), health_sentence(document.training.health)
    told = [title(document), str(document.data.get("dataset", "")), llm_name(document)]
    told += [f"measured on {reported_split(document)}"] if reported_split(document) else []
    told += [document.status] if document.status != "complete" else []
    first, *others = judged.evidence
    more = f"Also: {'; '.join(others)}." if others else ""
    ledes = "".join(f'<p class="lede">{text(line)}</p>' for line in (more, worth, health) if line)
    meta = " <span>/</span> ".join(text(item) for item in told if item)
    return (
        f'<header class="{judged.tone}"><h1><span class="claim">{text(judged.claim)}:</span> '
        f'<span class="evidence">{text(first)}.</span></h1>{ledes}<p class="meta">{meta}</p></header>'
    )


def _warnings(document: Document) -> str:
    lost = skipped(document)
    items = [f"<li><strong>Watchdog:</strong> {text(warning)}</li>" for warning in document.training.warnings]
    if lost:
        listed = "".join(f"<li>{text(line)}</li>" for line in lost)
        told = f"<strong>{count(len(lost), 'record')} left out</strong>, unreadable"
        items.append(f"<li><details><summary>{told}</summary><ul>{listed}</ul></details></li>")
    return f'<section class="warnings" aria-label="Warnings"><ul>{"".join(items)}</ul></section>' if items else ""


def _scores(document: Document) -> str:
    caption = "Scores per benchmark, before and after post-training"
    told = "".join(f"<li>{text(note)}</li>" for note in notes(document))
    table = score_table("Benchmark", score_lines(document), caption)
    return _section("Scores", f'{LEGEND}{table}<ul class="notes">{told}</ul>')


def _kinds(document: Document) -> str:
    tables = []
    for name, block in document.benchmarks.items():
        lines = list(kind_lines(block))
        if len(lines) > 1:
            tables.append(
                f"<h3>{text(name)}</h3>" + score_table("Kind", lines, f"Scores of {name} per kind of question")
            )
    return _section("By kind of question", "".join(tables)) if tables else ""


def _training(metrics: Sequence[Mapping[str, Any]]) -> str:
    after, base = post_training_charts(metrics), base_charts(metrics)
    blocks = []
    if after:
        held_out = any(line.held_out for chart in after for line in chart.series)
        told = "Faint lines are training batches, dotted lines held-out records. " if held_out else ""
        blocks.append(f'<p class="legend">{told}From left to right: optimiser steps.</p>')
        blocks.append(_charts(line_chart(chart) for chart in after))
    if base:
        blocks.append("<h3>Loss of the base, stage by stage</h3>")
        blocks.append(_charts((line_chart(chart, width=220, height=140) for chart in base), "small"))
    return _section("Training", "".join(blocks)) if blocks else ""


def _charts(charts: Iterable[str], kind: str = "") -> str:
    return f'<div class="charts {kind}">{"".join(charts)}</div>'


def _examples(document: Document, examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    up_axis, noise = str(document.data.get("up_axis", "y")), noise_name(document) or "noise"
    cards = "".join(_example(example, up_axis, noise) for example in examples)
    told = '<p class="legend">Drag a cloud to turn it; both turn together. Its arrow keys do the same.</p>'
    return _section("Examples", told + cards, "examples")


def _example(example: Example, up_axis: str, noise: str) -> str:
    pair = scene(example.clean, example.noised, up_axis=up_axis, record_id=example.record_id)
    about = example.reference or example.record_id
    answers = [("Reference", example.reference), ("Before", example.before), ("After", example.after)]
    answers.append(("Blind", example.blind))
    told = _definitions(
        (name, _answer(said, None if name == "Reference" else example.reference)) for name, said in answers if said
    )
    return (
        f'<article data-yaw="{pair.yaw:.1f}" data-pitch="{PITCH:g}" data-grain="{pair.grain:.5f}"><div class="clouds">'
        + _cloud(pair.clean, "as it is", f"Point cloud of {example.record_id}: {about}")
        + _cloud(pair.noised, f"noised: {noise}", f"The same cloud with noise ({noise})")
        + f'</div><div class="said"><p class="question">{_question(example.question)}</p>{told}'
        f'<p class="meta">{text(example.record_id)}</p></div></article>'
    )


def _cloud(view: View, caption: str, label: str) -> str:
    size = f'width="{PICTURE_SIZE}" height="{PICTURE_SIZE}"'
    return (
        f'<figure class="cloud" data-points="{view.points}"><img src="{view.picture}" {size} alt="{escape(label)}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def _question(prompt: str) -> str:
    """A prompt; its lettered options, if it has any, step back behind the question."""
    asked, *options = OPTION.split(prompt)
    return text(asked) + (f' <span class="options">{_unbroken(options)}</span>' if options else "")


def _unbroken(pieces: Iterable[str]) -> str:
    """Pieces of text between which a line may break, but not within."""
    return " ".join(f'<span class="whole">{text(piece)}</span>' for piece in pieces)


def _answer(said: str, reference: str | None) -> str:
    """An answer, marked where it is the reference word for word."""
    same = reference is not None and _plain(said) == _plain(reference)
    return text(said) + (' <span class="same" title="the reference, word for word">✓</span>' if same else "")


def _plain(said: str) -> str:
    return " ".join(said.split()).casefold().rstrip(".")


def _how(document: Document) -> str:
    pairs = [(name, _unbroken(PIECE.split(value))) for name, value in recipe(document)]
    folder, curves = escape(document.predictions), escape(document.training.curves)
    made = ", the preference pairs in <code>pairs.jsonl</code>" if document.passport.get("pairs") else ""
    beside = (
        f"every answer in <code>{folder}</code>{made}, curves in <code>{curves}</code>, all figures in "
        "<code>report.json</code>, settings in <code>config.yaml</code>, hashes in <code>passport.json</code>"
    )
    pairs.append(("Beside this file", beside))
    wholes = {"Configuration": document.config, "Passport": document.passport}
    folded = "".join(_folded(name, value) for name, value in wholes.items() if value)
    return _section("How it was run", _definitions(pairs) + folded)


def _folded(name: str, value: Mapping[str, Any]) -> str:
    whole = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return f'<details><summary>{name}</summary><pre tabindex="0">{escape(whole)}</pre></details>'


def _section(name: str, body: str, kind: str = "") -> str:
    return f'<section class="{kind}"><h2>{name}</h2>{body}</section>'


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Names are ours; values are HTML already."""
    return "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in pairs) + "</dl>"
