"""Tables beside the scores, in Markdown and HTML: further figures, and hygiene of options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from spa3d.rendering.html import isolate_text, render_section
from spa3d.rendering.markdown import escape_markdown
from spa3d.report.document import SideBySide
from spa3d.report.hygiene_table import ANSWER_LEGEND, render_hygiene, render_markdown_hygiene
from spa3d.report.measure_table import LEGEND, render_markdown_measures, render_measures


def list_markdown_tables(benchmarks: Mapping[str, SideBySide]) -> Iterator[str]:
    """List headings, tables and legends of all benchmarks that have such figures, as Markdown."""
    kinds = (
        ("Further figures", render_markdown_measures, LEGEND),
        ("Hygiene", render_markdown_hygiene, ANSWER_LEGEND),
    )
    for title, render, legend in kinds:
        for name, sides in benchmarks.items():
            table = render(sides)
            if table:
                yield from (f"### {title} of {escape_markdown(name)}", table, legend)


def list_sections(benchmarks: Mapping[str, SideBySide]) -> list[str]:
    """List the sections of a page; one without a table is empty."""
    return [
        _render_tables("Further figures", render_measures, LEGEND, benchmarks),
        _render_tables("Hygiene of questions with options", render_hygiene, ANSWER_LEGEND, benchmarks),
    ]


def _render_tables(
    title: str, render: Callable[[str, SideBySide], str], legend: str, benchmarks: Mapping[str, SideBySide]
) -> str:
    tables = [
        f"<h3>{isolate_text(name)}</h3>{table}" for name, sides in benchmarks.items() if (table := render(name, sides))
    ]
    return render_section(title, f'<p class="legend">{legend}</p>' + "".join(tables)) if tables else ""
