"""Folder of an evaluation: its request, answers of its shards, predictions and report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spa3d.artifacts.diff import differences
from spa3d.artifacts.run_folder import refuse_unwritable
from spa3d.errors import OutputError
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.shards import Shard

REQUEST, SHARDS, PREDICTIONS = "request.json", "shards", "predictions"


class EvaluationFolder:
    """Folder that the same request continues, and another one is refused for.

    Args:
        path: the folder.
        request: everything that decides its content, as JSON values.

    """

    def __init__(self, path: Path, request: Mapping[str, Any]) -> None:
        self.path, self.request = path, json.loads(json.dumps(request, default=str))

    def claim(self) -> None:
        """Make the folder, or check that it is one of this request.

        Raises:
            OutputError: it cannot be written, or holds other files or another evaluation; the message says which.

        """
        refuse_unwritable(self.path, "--output")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            inside = sorted(path.name for path in self.path.iterdir() if not path.name.startswith("."))
            if inside in ([], [REQUEST]):  # nothing was done yet
                write_whole(self.path / REQUEST, json.dumps(self.request, indent=1) + "\n")
                return
        except OSError as error:
            raise OutputError(f"--output {self.path}: not a folder that can be written ({error.strerror})") from error
        saved = self._read_request()
        if saved is None:
            there = ", ".join(inside[:5])
            raise OutputError(
                f"--output {self.path}: not empty, and not an evaluation ({there}); choose another folder"
            )
        changed = differences(saved, self.request)
        if changed:
            raise OutputError(
                f"--output {self.path}: has another evaluation ({'; '.join(changed[:8])}); choose another folder"
            )

    def predictions(self, benchmark: str) -> Path:
        """File of the rows of a benchmark."""
        return self.path / PREDICTIONS / f"{benchmark}.jsonl"

    def shard(self, shard: Shard) -> Path:
        """File of the answers of a shard that is done."""
        return self.path / SHARDS / f"{shard.number}-of-{shard.count}.jsonl"

    def list_missing(self, count: int) -> tuple[str, ...]:
        """Shards of `count` that are not done, as ``i/n``."""
        every = [Shard(number, count) for number in range(1, count + 1)]
        return tuple(str(shard) for shard in every if not self.shard(shard).exists())

    def drop_shards(self) -> None:
        """Remove the answers of the shards, which are in the predictions."""
        shutil.rmtree(self.path / SHARDS, ignore_errors=True)

    def _read_request(self) -> Mapping[str, Any] | None:
        try:
            saved = json.loads((self.path / REQUEST).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return saved if isinstance(saved, dict) else None
