"""Prediction rows on disk: one JSON line per question and view."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spa3d.runtime.atomic_files import write_whole

PredictionRow = dict[str, Any]
"""One question answered under one view; docs/report.md has its keys."""


def write_rows(path: Path, rows: Sequence[PredictionRow]) -> None:
    """Write rows as JSON lines, whole or not at all."""
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_rows(path: Path) -> list[PredictionRow]:
    """Rows as `write_rows` left them."""
    # Not splitlines: text may hold line breaks of Unicode's own, which JSON leaves as they are.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
