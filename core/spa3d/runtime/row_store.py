"""Rows of equal shape on disk, by key: prepared clouds, tokens of a frozen encoder.

A row is written once and never changed. The index line of a batch is written after its data, in one write, so a killed
run leaves either the whole batch or nothing of it. Several runs may share a folder: each writes its own pair of files
and reads those of the others.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

Rows = Float32[np.ndarray, "B ..."]


class RowStore:
    """Float32 rows by key, memory-mapped.

    Args:
        folder: folder of the files; None: nothing is stored, and every look-up is a miss.
        shape: shape of one row.
        limit_bytes: size at which the store stops growing; later rows are computed again each time.

    """

    def __init__(self, folder: Path | None, shape: Sequence[int], *, limit_bytes: float = float("inf")) -> None:
        self.shape = tuple(shape)
        self.row_bytes = 4 * int(np.prod(self.shape))
        self.limit_bytes = limit_bytes
        self._places: dict[str, tuple[Path, int]] = {}
        self._maps: dict[Path, Rows] = {}
        self._folder = folder
        self._own: Path | None = None
        self._written = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for index in sorted(folder.glob("*.index")):
                self._read_index(index)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def substore(self, name: str, shape: Sequence[int]) -> RowStore:
        """A store of other rows in a folder of its own beside these."""
        return RowStore(self._folder / name if self._folder else None, shape)

    def fetch(self, keys: Sequence[str], compute: Callable[[list[int]], Rows]) -> Rows:
        """Rows of `keys` in order; `compute` is called with the positions of missing ones."""
        result = np.empty((len(keys), *self.shape), dtype=np.float32)
        missing = [i for i, key in enumerate(keys) if key not in self._places]
        for i, key in enumerate(keys):
            if key in self._places:
                result[i] = self._row(key)
        if missing:
            rows = np.ascontiguousarray(compute(missing), dtype=np.float32)
            result[missing] = rows
            self._append([keys[i] for i in missing], rows)
        return result

    def _append(self, keys: list[str], rows: Rows) -> None:
        size = (len(self._places) + len(keys)) * self.row_bytes
        if self._folder is None or size > self.limit_bytes:
            return
        if self._own is None:
            self._own = self._folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.rows"
        with self._own.open("ab") as data:
            data.write(rows.tobytes())
        with self._own.with_suffix(".index").open("a", encoding="utf-8") as index:
            index.write(json.dumps(keys) + "\n")
        for offset, key in enumerate(keys):
            self._places[key] = (self._own, self._written + offset)
        self._written += len(keys)
        self._maps.pop(self._own, None)

    def _row(self, key: str) -> Rows:
        path, row = self._places[key]
        rows = self._maps.get(path)
        if rows is None or row >= len(rows):
            count = path.stat().st_size // self.row_bytes
            rows = np.memmap(path, dtype=np.float32, mode="r", shape=(count, *self.shape))
            self._maps[path] = rows
        return rows[row]

    def _read_index(self, index: Path) -> None:
        data = index.with_suffix(".rows")
        there = data.stat().st_size // self.row_bytes if data.exists() else 0
        row = 0
        for line in index.read_text(encoding="utf-8").splitlines():
            try:
                keys = json.loads(line)
            except json.JSONDecodeError:  # the last line of a killed run
                return
            if row + len(keys) > there:
                return
            for key in keys:
                self._places.setdefault(key, (data, row))
                row += 1
