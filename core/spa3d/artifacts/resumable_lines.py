"""A file of JSON lines that is written in several goes, and marked when it is complete.

While it grows it has the ending ``.part``, and its first line says what decides its content. The complete file has
its own name, without that line, and beside it lies a marker with the ending ``.done.json``.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from spa3d.artifacts.diff import differences
from spa3d.artifacts.run_folder import refuse_unwritable
from spa3d.errors import OutputError
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.jsonl import append_durably, format_lines, read_complete_lines

KEY = "spa3d"
"""Key of the first line of a growing file."""


class ResumableLines:
    """Lines that are added until they are complete.

    Args:
        path: the complete file.
        request: everything that decides its lines, as JSON values.
        flag: the flag of `path`, for messages.

    """

    def __init__(self, path: Path, request: Mapping[str, Any], flag: str = "--output") -> None:
        self.path, self.request, self.flag = path, dict(request), flag
        self.part = path.with_name(f"{path.name}.part")
        self.marker = path.with_name(f"{path.name}.done.json")
        self._file: IO[bytes] | None = None

    def check(self) -> bool:
        """Whether the file is complete.

        Raises:
            OutputError: it cannot be written, is no file of this kind, or was made by another request.

        """
        refuse_unwritable(self.path, self.flag)
        done = read_marker(self.marker)
        if done is not None and self.path.exists():
            self._refuse_changes(done, self.path)
            return True
        if self.path.exists() and not self.part.exists():
            raise OutputError(f"{self.flag} {self.path}: exists, and was not written by this command; choose another")
        self._read_part()
        return False

    @contextmanager
    def write(self) -> Iterator[Sequence[Any]]:
        """Context in which lines are added; gives the values of those that are there.

        Raises:
            OutputError: another process is writing the file.

        """
        with self._open_part() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputError(f"{self.flag} {self.path}: another process is writing it; wait for it") from error
            values, size = self._read_part()
            file.truncate(size)
            file.seek(size)
            self._file = file
            try:
                yield values
            finally:
                self._file = None
                if not file.tell():
                    self.part.unlink(missing_ok=True)

    def add(self, values: Sequence[Any]) -> None:
        """Append lines, and wait until they are on disk; only inside `write`."""
        if self._file is None:
            raise ValueError("lines are added only inside write()")
        first = [] if self._file.tell() else [{KEY: self.request}]
        append_durably(self._file, [*first, *values])

    def finish(self, **more: Any) -> None:
        """Give the complete file its name, and mark it; `more` goes into the marker."""
        values, _ = self._read_part()
        self.finish_with(format_lines(values), lines=len(values), **more)
        self.part.unlink(missing_ok=True)

    def finish_with(self, text: str, **more: Any) -> None:
        """Write `text` as the complete file, and mark it; `more` goes into the marker."""
        write_whole(self.path, text)
        write_whole(self.marker, json.dumps({"request": self.request, **more}, indent=1) + "\n")

    def _open_part(self) -> IO[bytes]:
        try:
            self.part.parent.mkdir(parents=True, exist_ok=True)
            return self.part.open("ab")
        except OSError as error:
            raise OutputError(
                f"{self.flag} {self.path}: cannot be written ({error.strerror}); choose another"
            ) from error

    def _read_part(self) -> tuple[list[Any], int]:
        """Values of the lines that are there, and their length in bytes with the first line."""
        lines, size = read_complete_lines(self.part)
        values = []
        for line in lines:
            try:
                values.append(line.value())
            except ValueError as error:
                raise OutputError(f"{line.where}: this is no JSON ({error}); delete the file to begin again") from error
        if not values:
            return [], 0
        first = values[0].get(KEY) if isinstance(values[0], Mapping) else None
        if not isinstance(first, Mapping):
            raise OutputError(f"{self.part}: was not written by this command; choose another {self.flag}")
        if len(values) == 1:  # nothing was done yet
            return [], 0
        self._refuse_changes(first, self.part)
        return values[1:], size

    def _refuse_changes(self, saved: Mapping[str, Any], file: Path) -> None:
        changed = differences(saved, self.request)
        if changed:
            raise OutputError(
                f"{file}: was made with something else ({'; '.join(changed[:8])}); choose another {self.flag}, or "
                "delete it to begin again"
            )


def read_marker(path: Path) -> dict[str, Any] | None:
    """Read what decided a complete file from its marker; None if there is no valid one."""
    try:
        request = json.loads(path.read_text(encoding="utf-8"))["request"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return request if isinstance(request, dict) else None
