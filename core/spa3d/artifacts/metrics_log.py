"""metrics.jsonl: one line per logged step or probe, cut back to the checkpoint when a run resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spa3d.runtime import distributed
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.jsonl import append_value, format_lines, read_valid_values


class MetricsLog:
    """Appends rows of numbers to a JSON-lines file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def truncate_after(self, stage: str, step: int) -> None:
        """Forget what `stage` wrote after `step`: the steps that a resumed run makes again."""
        if self.path.exists() and distributed.is_first():
            kept = [row for row in self.rows() if row.get("stage") != stage or row.get("step", 0) <= step > 0]
            write_whole(self.path, format_lines(kept, ascii_only=True))

    def import_base_metrics(self, source: Path) -> None:
        """Begin with the curves of the base a run starts from; what happened to that base later is another run's."""
        if distributed.is_first() and not self.path.exists() and source.exists():
            rows = [row for row in MetricsLog(source).rows() if str(row.get("stage")).startswith("base.")]
            write_whole(self.path, format_lines(rows, ascii_only=True))

    def write(self, **row: Any) -> None:
        """Append one row; None values are left out. Of several processes only the first writes."""
        if distributed.is_first():
            append_value(self.path, {name: value for name, value in row.items() if value is not None}, ascii_only=True)

    def rows(self) -> list[dict[str, Any]]:
        """Every whole row; the torn last line of a killed run is dropped."""
        return read_valid_values(self.path)
