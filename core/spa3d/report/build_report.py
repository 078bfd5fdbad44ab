"""Report of a build of questions: what was made and refused, and the hygiene of the set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from spa3d.evaluation.hygiene import measure_questions
from spa3d.evaluation.question_builder.build import BuiltQuestions, CategoryCount
from spa3d.rendering.markdown import escape_markdown, render_bullets, render_markdown_table
from spa3d.report.hygiene_table import SET_LEGEND, render_set_hygiene

COUNT_HEADS = ("category", "target", "made", "tried", "possible")


def format_build_report(built: BuiltQuestions, provenance: Mapping[str, Any]) -> str:
    """Format the report as JSON.

    Args:
        built: the questions.
        provenance: settings of the build, by name.

    """
    content = {
        "settings": dict(provenance),
        "counts": {name: asdict(count) for name, count in built.counts.items()},
        "hygiene": {name: asdict(each) for name, each in measure_questions(built.questions).items()},
        "notes": list(built.notes),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def render_build_report(built: BuiltQuestions) -> str:
    """Render the report as Markdown."""
    rows = [map(escape_markdown, row) for row in map(list_count_cells, built.counts, built.counts.values())]
    blocks = ["# Questions", render_markdown_table(COUNT_HEADS, rows)]
    refused = [f"{escape_markdown(name)}: {escape_markdown(line)}" for name, line in list_refusals(built)]
    blocks += ["## Refused", render_bullets(refused)] if refused else []
    blocks += ["## Hygiene", render_set_hygiene(measure_questions(built.questions)), SET_LEGEND]
    blocks += ["## Notes", render_bullets(map(escape_markdown, built.notes))] if built.notes else []
    return "\n\n".join(blocks) + "\n"


def list_count_cells(name: str, count: CategoryCount) -> tuple[str, ...]:
    """List the cells of `COUNT_HEADS` for one category."""
    return (name, *(f"{number:,}" for number in (count.target, count.made, count.tried, count.possible)))


def list_refusals(built: BuiltQuestions) -> list[tuple[str, str]]:
    """List (category, number and reason) of everything refused, and of what could not be tried."""
    lines = [
        (name, f"{number:,} refused: {why}")
        for name, count in built.counts.items()
        for why, number in count.refused.items()
    ]
    return lines + [
        (name, "no record has a caption, a fact or a question for it")
        for name, count in built.counts.items()
        if count.target and not count.possible
    ]
