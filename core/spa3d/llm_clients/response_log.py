"""Log of the responses of an LLM, so that no process repeats a request, even after a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

from spa3d.errors import DataError
from spa3d.runtime.jsonl import append_durably, read_complete_lines
from spa3d.runtime.locks import wait_for


@dataclass(frozen=True)
class KeyedResponse:
    """Response to one request; subclasses add its content."""

    key: str


AnyResponse = TypeVar("AnyResponse", bound=KeyedResponse)


class ResponseLog(Generic[AnyResponse]):
    """File of responses, one JSON line each, appended as they come.

    Args:
        path: the file.
        response: class of the responses; a line holds its fields.

    Attributes:
        path: the file.
        responses: by the key of their request.

    Raises:
        DataError: a line is invalid; an incomplete last line is dropped.

    """

    def __init__(self, path: Path, response: type[AnyResponse]) -> None:
        self.path = path
        self.responses: dict[str, AnyResponse] = {}
        self._response = response
        self._file: IO[bytes] | None = None
        self._read()

    @contextmanager
    def lock(self, on_wait: Callable[[], object]) -> Iterator[None]:
        """Lock the log against other processes, and read what they added.

        Args:
            on_wait: called before waiting for another process that has the lock.

        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            wait_for(file, on_wait)
            file.truncate(self._read())
            self._file = file
            try:
                yield
            finally:
                self._file = None

    def add(self, responses: Sequence[AnyResponse]) -> None:
        """Append responses and flush them to disk; only while the log is locked."""
        if self._file is None:
            raise ValueError("a response log is written only while it is locked")
        append_durably(self._file, (asdict(response) for response in responses))
        self.responses |= {response.key: response for response in responses}

    def _read(self) -> int:
        """Read the file; returns the length of its complete lines in bytes."""
        lines, size = read_complete_lines(self.path)
        for line in lines:
            try:
                response = self._response(**line.value())
            except (ValueError, TypeError) as error:
                raise DataError(
                    f"{line.where}: not a valid response ({error}); delete the line, and the request is repeated"
                ) from error
            self.responses[response.key] = response
        return size
