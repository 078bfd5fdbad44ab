"""What was asked to make pairs and what came of it: nothing is asked twice, whoever asks, and whatever kills them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from spa3d.errors import DataError
from spa3d.runtime.locks import wait_for

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What came of one request: two answers, or why there are none."""

    key: str
    chosen: str = ""
    rejected: str = ""
    why_not: str = ""


class Ledger:
    """A file of outcomes, one JSON line each, appended as they come.

    Attributes:
        path: the file.
        outcomes: by the key of their request.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, Outcome] = {}
        self._file: IO[bytes] | None = None
        self._read()

    @contextmanager
    def held(self, say: Say) -> Iterator[None]:
        """Keep others from writing, wait for who is at it, and meet what they left."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            wait_for(file, lambda: say(f"{self.path}: another process is making these pairs; waiting for it"))
            file.truncate(self._read())
            self._file = file
            try:
                yield
            finally:
                self._file = None

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Append, so that a kill loses nothing that was paid for; only while it is `held`."""
        if self._file is None:
            raise ValueError("a ledger is written only while it is held")
        lines = "".join(json.dumps(asdict(outcome), ensure_ascii=False) + "\n" for outcome in outcomes)
        self._file.write(lines.encode("utf-8", errors="replace"))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.outcomes |= {outcome.key: outcome for outcome in outcomes}

    def _read(self) -> int:
        """Read what is there; returns the length of its whole lines, for a kill may have torn the last one."""
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
            try:
                outcome = Outcome(**json.loads(line))
            except (ValueError, TypeError) as fault:
                raise DataError(
                    f"{self.path}, line {number}: not as it was written ({fault}); delete the line, and it is asked "
                    f"for again"
                ) from fault
            self.outcomes[outcome.key] = outcome
        return len(whole)
