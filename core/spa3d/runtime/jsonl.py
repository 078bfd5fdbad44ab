"""JSON lines: one reader and one writer, with errors that name file and line.

Only a line feed ends a line. Text may contain Unicode line breaks (U+2028), which JSON does not escape, so
`str.splitlines` would split a value.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from spa3d.errors import DataError
from spa3d.runtime.text_files import read_text


@dataclass(frozen=True)
class Line:
    """A line of a file, not yet parsed.

    Attributes:
        where: file and line number, for error messages.
        text: the line without its line break; bytes where the file was read as bytes.

    """

    where: str
    text: str | bytes

    @property
    def excerpt(self) -> str:
        """Beginning of the line, quoted for error messages."""
        return repr(self.text[:80])

    def value(self) -> Any:
        """Parse the line; raises `ValueError` if it is not JSON."""
        return json.loads(self.text)


def read_lines(path: Path) -> Iterator[Line]:
    """Read the non-blank lines of a UTF-8 file; raises `DataError` if it cannot be read."""
    for number, text in enumerate(read_text(path).split("\n"), start=1):
        if text.strip():
            yield Line(f"{path}, line {number}", text)


def read_values(path: Path) -> Iterator[tuple[Line, Any]]:
    """Read the lines of a file from any source, each with its value.

    Raises:
        DataError: the file cannot be read, or a line is not JSON; the message names file and line.

    """
    for line in read_lines(path):
        try:
            value = line.value()
        except (ValueError, RecursionError) as error:
            raise DataError(f"{line.where}: this is no JSON ({error}): {line.excerpt}") from error
        yield line, value


def read_valid_values(path: Path) -> list[Any]:
    """Read the values of all valid lines; lines torn by a kill are dropped.

    Without a file there are no values.
    """
    values = []
    for text in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            values.append(json.loads(text))
        except ValueError:
            continue
    return values


def read_complete_lines(path: Path) -> tuple[list[Line], int]:
    """Read all lines with a line break, also blank ones, and their length in bytes.

    A file that does not exist has no lines. Text behind the last line break was torn by a kill; a writer truncates the
    file to the returned length before it appends.
    """
    data = path.read_bytes() if path.exists() else b""
    size = data.rfind(b"\n") + 1
    texts = data[:size].split(b"\n")[:-1]
    return [Line(f"{path}, line {number}", text) for number, text in enumerate(texts, start=1)], size


def format_lines(values: Iterable[Any], *, ascii_only: bool = False) -> str:
    """Format `values` as lines of a file; `ascii_only` escapes all other characters."""
    return "".join(json.dumps(value, ensure_ascii=ascii_only) + "\n" for value in values)


def append_value(path: Path, value: Any, *, ascii_only: bool = False) -> None:
    """Append one line to the file at `path`; a missing file is created."""
    with path.open("a", encoding="utf-8") as file:
        file.write(format_lines([value], ascii_only=ascii_only))


def append_durably(file: IO[bytes], values: Iterable[Any]) -> None:
    """Append lines to an open file and wait until they are on disk.

    Half a surrogate pair, which UTF-8 cannot encode, becomes a question mark.
    """
    file.write(format_lines(values).encode("utf-8", errors="replace"))
    file.flush()
    os.fsync(file.fileno())
