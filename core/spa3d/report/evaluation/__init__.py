"""Report of one model: report.json, report.md and report.html from one document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spa3d.report.evaluation.document import EvaluationDocument
from spa3d.report.evaluation.examples import AnsweredExample
from spa3d.report.evaluation.markdown import render_markdown
from spa3d.report.evaluation.page import render_page
from spa3d.runtime.atomic_files import write_whole

__all__ = ["EvaluationDocument", "write_evaluation_report"]


def write_evaluation_report(folder: Path, document: EvaluationDocument, examples: Sequence[AnsweredExample]) -> None:
    """Write report.md, report.html and, last, report.json, each atomically."""
    write_whole(folder / "report.md", render_markdown(document, examples))
    write_whole(folder / "report.html", render_page(document, examples))
    write_whole(folder / "report.json", document.json_text())
