"""The command of ``spa3d doctor`` that shows more about an error of the data."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from spa3d.data.formats.read import find_format
from spa3d.errors import DataError, RecordError
from spa3d.runtime.paths import file_problem, folder_problem

_FLAG = re.compile(r"--(dataset|dataset\..+|config|plugin|registry)")
"""Flags that choose a data set."""
_END = re.compile(r": | \(record ")
"""What ends the name of a file in a message."""


def find_doctor_command(error: DataError, words: Sequence[str]) -> str:
    """Find the command that examines the bad cloud, or the data set; empty if there is none.

    Args:
        error: its lines begin with the name of a file or of a record, as all messages about clouds do.
        words: the command line that failed; its flags about the dataset are those of the doctor.

    """
    lines = error.errors if isinstance(error, RecordError) else str(error).splitlines()[:1]
    if len(lines) == 1:
        for part in _END.split(lines[0]):
            if find_format(Path(part)) and not file_problem(part):
                return f"spa3d doctor {shlex.quote(part)}"
    flags = [*_select_flags(words)]
    if not isinstance(error, RecordError) and not _find_folder(flags):
        return ""
    return f"spa3d doctor {' '.join(map(shlex.quote, flags)) if flags else 'FOLDER'}"


def _find_folder(flags: Sequence[str]) -> str:
    """The folder of the data set; empty without one.

    Its clouds can be examined whatever is wrong with its texts.
    """
    joined = next((flag.partition("=")[2] for flag in flags if flag.startswith("--dataset.root=")), "")
    root = joined or next((value for flag, value in pairwise(flags) if flag == "--dataset.root"), "")
    return root if root and not folder_problem(root) else ""


def _select_flags(words: Sequence[str]) -> Iterator[str]:
    """The flags of the command line that choose a data set, with their values."""
    for index, word in enumerate(words):
        name, equals, _ = word.partition("=")
        if _FLAG.fullmatch(name):
            yield word
            if not equals:
                yield from words[index + 1 : index + 2]
