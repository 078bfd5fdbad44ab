"""Questions about clouds in a file of JSON lines, read and checked before any work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa3d.data.keys import refuse_misspelled
from spa3d.errors import DataError
from spa3d.runtime.jsonl import Line, read_lines

KEYS = ("id", "cloud", "question", "options")
SHOWN = 20
"""Bad lines that are listed at once."""


@dataclass(frozen=True)
class CloudRequest:
    """One line of the file.

    Attributes:
        id: unique in the file.
        cloud: file of the cloud; None: the question is asked without one.
        question: its text; empty where only the cloud counts.
        options: candidate answers; empty: a free answer.
        where: file and line, for messages.

    """

    id: str | int
    cloud: Path | None
    question: str
    options: tuple[str, ...]
    where: str


def read_requests(path: Path, root: Path | None, *, questions: bool = True) -> list[CloudRequest]:
    """Read the lines ``{"id", "cloud", "question", "options"}`` of a file.

    Args:
        path: the file. ``cloud`` may be null or missing, ``options`` too; other keys are ignored.
        root: folder of relative paths of clouds; None: that of `path`.
        questions: whether questions are asked; otherwise only the clouds count, and each line needs one.

    Raises:
        DataError: all bad lines (at most `SHOWN`), each with file and number.

    """
    requests: list[CloudRequest] = []
    known: dict[str, str] = {}

    def parse(line: Line) -> None:
        request = _parse(line, root or path.parent, questions=questions)
        name = str(request.id)
        if name in known:
            raise DataError(f"{line.where}: the id {name!r} is that of {known[name]}, too; give it another")
        known[name] = line.where
        requests.append(request)

    check_all(read_lines(path), parse, "bad lines")
    if not requests:
        raise DataError(f'{path}: holds no line; each line is one question: {{"id": …, "cloud": …, "question": …}}')
    return requests


def check_all(items: Iterable[Any], check: Callable[[Any], object], what: str) -> None:
    """Check all items, and raise the errors of up to `SHOWN` bad ones together.

    Raises:
        DataError: one line per error, and the number of bad items if there are several.

    """
    errors: dict[str, None] = {}
    for item in items:
        try:
            check(item)
        except DataError as error:
            errors[str(error)] = None
        if len(errors) >= SHOWN:
            break
    if len(errors) > 1:
        errors[f"{'at least ' if len(errors) >= SHOWN else ''}{len(errors)} {what}"] = None
    if errors:
        raise DataError("\n".join(errors))


def _parse(line: Line, root: Path, *, questions: bool) -> CloudRequest:
    try:
        entry = line.value()
    except (ValueError, RecursionError) as error:
        raise DataError(f"{line.where}: this is no JSON ({error}): {line.excerpt}") from error
    if not isinstance(entry, Mapping):
        raise DataError(f'{line.where}: expected an object such as {{"id": …, "cloud": …}}, got {line.excerpt}')
    refuse_misspelled(entry, KEYS, line.where)
    number = entry.get("id")
    if isinstance(number, bool) or not isinstance(number, str | int) or not str(number).strip():
        raise DataError(f"{line.where}: its id is {number!r:.80}; give each line an id of its own, a text or a number")
    cloud, question = entry.get("cloud"), entry.get("question", "")
    if not isinstance(cloud, str | None) or cloud == "" or (cloud is None and not questions):
        needed = "the path of a file" if not questions else "the path of a file, or null for none"
        raise DataError(f"{line.where}: its cloud is {cloud!r:.80}; expected {needed}")
    if not isinstance(question, str) or (questions and not question.strip()):
        raise DataError(f"{line.where}: its question is {question!r:.80}; expected a text")
    options = _read_options(entry.get("options"), line.where) if questions else ()
    return CloudRequest(number, None if cloud is None else root / cloud, question, options, line.where)


def _read_options(value: Any, where: str) -> tuple[str, ...]:
    """Read the options of a line; none without the key."""
    if value is None:
        return ()
    texts = isinstance(value, list) and all(isinstance(option, str) and option.strip() for option in value)
    if not texts or len(value) < 2 or len(set(value)) < len(value):
        raise DataError(f"{where}: its options are {value!r:.80}; expected a list of two or more different texts")
    return tuple(value)
