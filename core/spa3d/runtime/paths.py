"""Paths that a user gives: why a file or a folder there cannot be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from spa3d.errors import OutputError, SpaError


def file_problem(path: str | Path) -> str:
    """Describe why there is no readable file at `path`; empty if there is one."""
    mode, problem = _stat(path, "no such file")
    if problem:
        return problem
    if not stat.S_ISREG(mode):  # reading a pipe would wait for its writer
        return "it is a folder" if stat.S_ISDIR(mode) else "it is no regular file"
    return "" if os.access(path, os.R_OK) else "it may not be read"


@contextmanager
def open_file(path: Path, where: str, error_type: type[SpaError]) -> Iterator[BinaryIO]:
    """Open a regular file; raises `error_type` about `where` if it cannot be read."""
    problem = file_problem(path)
    if problem:
        raise error_type(f"{where}: cannot be read: {problem}.")
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise error_type(f"{where}: cannot be read: {(error.strerror or str(error)).lower()}.") from error


@contextmanager
def naming_write_errors(path: Path, what: str = "file") -> Iterator[None]:
    """Turn an error of the system while `path` is written into an `OutputError`.

    The message says to choose another `what`.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another {what}") from error


def folder_problem(path: str | Path) -> str:
    """Describe why there is no readable folder at `path`; empty if there is one."""
    mode, problem = _stat(path, "no such folder")
    if problem:
        return problem
    if not stat.S_ISDIR(mode):
        return "it is no folder"
    return "" if os.access(path, os.R_OK | os.X_OK) else "it may not be read"


def _stat(path: str | Path, missing: str) -> tuple[int, str]:
    """Mode of a file, and why it has none."""
    try:
        return Path(path).stat().st_mode, ""
    except FileNotFoundError:
        return 0, missing
    except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
        return 0, (getattr(error, "strerror", None) or str(error)).lower()
