"""What ``spa3d build-questions`` prints: what was made and refused, hygiene, and examples."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from spa3d.cli.console import escape_text, output
from spa3d.data.questions import append_options
from spa3d.evaluation.hygiene import measure_questions
from spa3d.evaluation.question_builder.build import BuiltQuestions
from spa3d.rendering.numbers import format_count
from spa3d.report.build_report import COUNT_HEADS, list_count_cells, list_refusals
from spa3d.report.hygiene_table import SET_HEADS, SET_LEGEND, list_set_cells


def show_build(path: Path, built: BuiltQuestions) -> None:
    """Print the tables of a build."""
    console = output()
    counts = _make_table(COUNT_HEADS)
    for name, count in built.counts.items():
        counts.add_row(*map(escape_text, list_count_cells(name, count)))
    console.print(counts)
    for name, line in list_refusals(built):
        console.print(escape_text(f"{name}: {line}"), soft_wrap=True)
    missing = {name: count.shortfall for name, count in built.counts.items() if count.shortfall}
    if missing:
        listed = ", ".join(f"{number} {name}" for name, number in missing.items())
        text = f"missing: {listed}; other sources, or more --attempts of an LLM, may give them"
        console.print(escape_text(text, "yellow"), soft_wrap=True)
    hygiene = _make_table(SET_HEADS, title="Hygiene")
    for row in list_set_cells(measure_questions(built.questions)):
        hygiene.add_row(*map(escape_text, row))
    console.print(hygiene)
    console.print(escape_text(SET_LEGEND, "dim"))
    for note in built.notes:
        console.print(escape_text(f"note: {note}", "yellow"), soft_wrap=True)
    seen = {question.type: question for question in reversed(built.questions)}
    examples = Table("category", "record", "question", "answer", title="For example", title_justify="left")
    for name, question in seen.items():
        shown = append_options(question.question, question.options)
        examples.add_row(*map(escape_text, (name, question.source, shown, question.letter)))
    console.print(examples)
    console.print(escape_text(f"{format_count(len(built.questions), 'question')} in {path}"), soft_wrap=True)


def _make_table(heads: tuple[str, ...], title: str | None = None) -> Table:
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index else "left")
    return table
