"""JSON lines: one reader and one writer, with errors that name file and line.

A line ends at a line feed alone: text may hold Unicode's own line breaks (U+2028), which JSON leaves as they are, so
`str.splitlines` would cut through a value.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from spa3d.errors import DataError


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
        """Parse the line; raises `ValueError` where it is no JSON."""
        return json.loads(self.text)


def read_lines(path: Path) -> Iterator[Line]:
    """Lines of a UTF-8 file that are not blank; raises `OSError` or `UnicodeDecodeError`."""
    for number, text in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if text.strip():
            yield Line(f"{path}, line {number}", text)


def read_values(path: Path) -> Iterator[tuple[Line, Any]]:
    """Lines of a file that somebody else may have written, each with its value.

    Raises:
        DataError: the file cannot be read, or a line is no JSON; the message names file and line.

    """
    try:
        lines = list(read_lines(path))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error  # an OSError would name the file again
        raise DataError(f"{path}: cannot be read ({why}); it should be JSON lines") from error
    for line in lines:
        try:
            value = line.value()
        except ValueError as error:
            raise DataError(f"{line.where}: this is no JSON ({error}): {line.excerpt}") from error
        yield line, value


def read_valid_values(path: Path) -> list[Any]:
    """Values of the lines that are JSON; a torn line of a killed process is dropped. No file: no values."""
    values = []
    for line in read_lines(path) if path.exists() else ():
        try:
            values.append(line.value())
        except json.JSONDecodeError:
            continue
    return values


def read_complete_lines(path: Path) -> tuple[list[Line], int]:
    """Lines that end in a line break, blank ones included, and their length in bytes. No file: no lines.

    What follows the last line break was torn by a kill; a writer truncates the file to the length before it appends.
    """
    data = path.read_bytes() if path.exists() else b""
    size = data.rfind(b"\n") + 1
    texts = data[:size].split(b"\n")[:-1]
    return [Line(f"{path}, line {number}", text) for number, text in enumerate(texts, start=1)], size


def format_lines(values: Iterable[Any], *, ascii_only: bool = False) -> str:
    """Content of a file of `values`, one line each; `ascii_only` escapes all other characters."""
    return "".join(json.dumps(value, ensure_ascii=ascii_only) + "\n" for value in values)


def append_value(path: Path, value: Any, *, ascii_only: bool = False) -> None:
    """Append one line to the file at `path`, which is made if it is missing."""
    with path.open("a", encoding="utf-8") as file:
        file.write(format_lines([value], ascii_only=ascii_only))


def append_durably(file: IO[bytes], values: Iterable[Any]) -> None:
    """Append lines to an open file and wait until they are on disk.

    Half a surrogate pair, which UTF-8 cannot hold, becomes a question mark.
    """
    file.write(format_lines(values).encode("utf-8", errors="replace"))
    file.flush()
    os.fsync(file.fileno())
