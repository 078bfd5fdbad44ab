"""Log metrics.jsonl: one line per training step or probe, truncated when a run resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spa3d.runtime import distributed
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.jsonl import append_value, format_lines, read_valid_values


class MetricsLog:
    """JSON-lines file of metrics, one row per step or probe."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def truncate_after(self, stage: str, step: int) -> None:
        """Delete the rows of `stage` after `step`; a resumed run repeats these steps.

        Step 0 deletes all rows of the stage.
        """
        if self.path.exists() and distributed.is_first():
            kept = [row for row in self.rows() if row.get("stage") != stage or row.get("step", 0) <= step > 0]
            write_whole(self.path, format_lines(kept, ascii_only=True))

    def import_base_metrics(self, source: Path) -> None:
        """Copy the rows of the base's stages from `source`, the log of another run, into a new log."""
        if distributed.is_first() and not self.path.exists() and source.exists():
            rows = [row for row in MetricsLog(source).rows() if str(row.get("stage")).startswith("base.")]
            write_whole(self.path, format_lines(rows, ascii_only=True))

    def write(self, **row: Any) -> None:
        """Append one row without its None values; in a distributed run only rank 0 writes."""
        if distributed.is_first():
            append_value(self.path, {name: value for name, value in row.items() if value is not None}, ascii_only=True)

    def rows(self) -> list[dict[str, Any]]:
        """Read all rows, without an incomplete last line of a killed run."""
        return [row for row in read_valid_values(self.path) if isinstance(row, dict)]
