"""report.json, report.md and report.html of a run: three renderings of one document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.report.document import Document, ReportData, build_document
from spa3d.report.examples import Example
from spa3d.report.markdown import render_markdown
from spa3d.report.page import render_page
from spa3d.runtime.atomic_files import write_whole

__all__ = ["Document", "Example", "ReportData", "build_document", "write_report"]


def write_report(folder: Path, document: Document, examples: Sequence[Example]) -> None:
    """Write report.json, report.md and report.html into `folder`.

    Each replaces its predecessor whole or not at all.

    Args:
        folder: the run's folder; its metrics.jsonl gives the curves (none there: no curves).
        document: what is reported.
        examples: four to six of them make a page that opens quickly.

    """
    metrics = MetricsLog(folder / document.training.curves).rows()
    write_whole(folder / "report.md", render_markdown(document, examples))
    write_whole(folder / "report.html", render_page(document, examples, metrics))
    # Last: who reads "complete" there may count on the others, whenever the run was interrupted.
    write_whole(folder / "report.json", document.json_text())
