"""Log of a model's answers by key, in JSON lines, shared by processes and machines.

Each process appends to a file of its own, and reads those of all others. Unlike a database this needs no locks, which
network file systems often lack. A line is written after its batch, so a killed process loses at most the batch that it
was working on. A torn or damaged line is skipped, and its question is asked again.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from spa3d.contracts.benchmark import Prediction
from spa3d.errors import OutputError
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.jsonl import Line, append_durably, format_lines, read_complete_lines
from spa3d.runtime.progress import Reporter

KEY = "key"
FIELDS = {KEY, *(field.name for field in fields(Prediction))}


class AnswerLog:
    """Answers by key.

    Args:
        folder: folder of the files; None: answers are kept in memory alone.
        reporter: gets a note about damaged lines.

    Raises:
        OutputError: the folder cannot be made or read.

    """

    def __init__(self, folder: Path | None, reporter: Reporter) -> None:
        self.folder, self.reporter = folder, reporter
        self._answers: dict[str, Prediction] = {}
        self._own: Path | None = None
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                for path in sorted(folder.glob("*.jsonl")):
                    self.read(path)
            except OSError as error:
                raise OutputError(f"{folder}: answers cannot be kept there ({error.strerror})") from error

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def __len__(self) -> int:
        return len(self._answers)

    def __getitem__(self, key: str) -> Prediction:
        return self._answers[key]

    def read(self, path: Path) -> None:
        """Read the answers of a file; a missing file has none."""
        lines, _ = read_complete_lines(path)
        damaged = []
        for line in lines:
            entry = _parse(line)
            if entry is None:
                damaged.append(line.where)
            else:
                self._answers.setdefault(*entry)
        if damaged:
            count = f"{len(damaged)} lines are" if len(damaged) > 1 else "a line is"
            self.reporter.warn(f"{damaged[0]}: {count} damaged; the questions are asked again")

    def remember(self, answers: Mapping[str, Prediction]) -> None:
        """Take answers that another process has written."""
        self._answers |= answers

    def add(self, answers: Mapping[str, Prediction]) -> None:
        """Add answers, and wait until they are on disk."""
        self._answers |= answers
        if self.folder is None or not answers:
            return
        if self._own is None:
            self._own = self.folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        with self._own.open("ab") as file:
            append_durably(file, _lines(answers))

    def export(self, path: Path, keys: Iterable[str]) -> None:
        """Write the answers of `keys` to one file, atomically."""
        write_whole(path, format_lines(_lines({key: self._answers[key] for key in keys})))


def _lines(answers: Mapping[str, Prediction]) -> Iterator[dict[str, Any]]:
    return ({KEY: key, **asdict(answer)} for key, answer in answers.items())


def _parse(line: Line) -> tuple[str, Prediction] | None:
    """Key and answer of a line; None if it is damaged."""
    try:
        value = line.value()
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.keys() != FIELDS or not isinstance(value[KEY], str):
        return None
    key, logp, lengths = value.pop(KEY), value["option_logp"], value["option_lengths"]
    sound = (
        isinstance(value["text"], str)
        and isinstance(logp, list)
        and isinstance(lengths, list)
        and len(logp) == len(lengths)
        and all(type(number) is float for number in logp)
        and all(type(length) is int and length > 0 for length in lengths)
    )
    lists = {name: tuple(entry) for name, entry in value.items() if isinstance(entry, list)}
    return (key, Prediction(**value | lists)) if sound else None
