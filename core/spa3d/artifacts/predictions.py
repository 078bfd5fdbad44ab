"""Prediction rows on disk: one JSON line per question and view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.jsonl import format_lines, read_lines

PredictionRow = dict[str, Any]
"""Answer to one question under one view; docs/report.md lists its keys."""


def write_rows(path: Path, rows: Sequence[PredictionRow]) -> None:
    """Write rows as JSON lines, atomically."""
    write_whole(path, format_lines(rows))


def read_rows(path: Path) -> list[PredictionRow]:
    """Read the rows of `write_rows`; raises `DataError` or `ValueError`."""
    return [line.value() for line in read_lines(path)]
