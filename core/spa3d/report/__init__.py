"""Report of a run: report.json, report.md and report.html from one document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.report.build import ReportData, build_document
from spa3d.report.document import Document
from spa3d.report.examples import Example
from spa3d.report.markdown import render_markdown
from spa3d.report.model_card import render_model_card
from spa3d.report.page import render_page
from spa3d.runtime.atomic_files import write_whole

__all__ = ["Document", "Example", "ReportData", "build_document", "write_model_card", "write_report"]


def write_model_card(folder: Path, document: Document) -> None:
    """Write card (README.md) and passport of the model in `folder`, for the run that trained it."""
    write_whole(folder / "README.md", render_model_card(document))
    write_whole(folder / "passport.json", json.dumps(document.passport, indent=1))


def write_report(folder: Path, document: Document, examples: Sequence[Example]) -> None:
    """Write report.json, report.md and report.html into `folder`.

    Each file is replaced atomically; report.json comes last.

    Args:
        folder: folder of the run; its metrics.jsonl, if present, contains the curves.
        document: content of the report.
        examples: four to six keep the page small.

    """
    metrics = MetricsLog(folder / document.training.curves).rows()
    write_whole(folder / "report.md", render_markdown(document, examples))
    write_whole(folder / "report.html", render_page(document, examples, metrics))
    # Last: a status "complete" in report.json then implies that the other files are complete too.
    write_whole(folder / "report.json", document.json_text())
