"""Round trip of prediction rows with any text."""

from __future__ import annotations

from pathlib import Path

from spa3d.artifacts.predictions import read_rows, write_rows


def test_read_rows_line_breaks(tmp_path: Path) -> None:
    rows = [
        {"id": str(i), "text": f"[/red]<script>|{mark}end"} for i, mark in enumerate("\n\r\v\f\x1c\x1e\x85\u2028\u2029")
    ]
    write_rows(tmp_path / "predictions" / "choice.before.jsonl", rows)
    assert read_rows(tmp_path / "predictions" / "choice.before.jsonl") == rows


def test_write_rows_empty(tmp_path: Path) -> None:
    write_rows(tmp_path / "none.jsonl", [])
    assert read_rows(tmp_path / "none.jsonl") == []
