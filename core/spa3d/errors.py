"""The errors a user can cause, one small family.

A message says what was asked, where it came from (flag, file and line, plugin), what is possible and what to
do next. The command line prints it without a traceback and exits with code 2; everything that is not one of
these is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Self

LONGEST = 400
"""Characters of one error in the terminal."""
SHOWN = 20
"""Errors of records that are listed at once."""


class SpaError(Exception):
    """An error of the input, not of the program: one message, exit code 2."""

    exit_code: ClassVar[int] = 2


class RegistryError(SpaError):
    """An unknown name, a clash of names, or a registry.yaml that does not hold together."""


class PluginError(SpaError):
    """A plugin that cannot be imported or that breaks the contract of its kind."""

    @classmethod
    def by(cls, component: object, message: str) -> Self:
        """The error of a built component, named by its class and its file."""
        kind = type(component)
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        return cls(f"{kind.__module__}.{kind.__qualname__}{f' ({file})' if file else ''}: {message}")


class ConfigError(SpaError):
    """One or more errors in flags or YAML, all of them reported together."""

    def __init__(self, errors: str | Sequence[str]) -> None:
        self.errors: tuple[str, ...] = (errors,) if isinstance(errors, str) else tuple(errors)
        super().__init__("\n".join(self.errors))


class DataError(SpaError):
    """A file or a record that is not what it should be; the message names both."""


class RecordError(DataError):
    """Records whose clouds or texts cannot be used; the other records may be usable.

    Args:
        errors: one line for each record.
        hint: the last line of the message.

    """

    def __init__(self, errors: str | Sequence[str], hint: str = "") -> None:
        self.errors: tuple[str, ...] = (errors,) if isinstance(errors, str) else tuple(errors)
        super().__init__("\n".join([*self.errors[:SHOWN], *filter(None, [hint])]))


def bad_records(errors: Sequence[str], *, complete: bool = True) -> RecordError:
    """Make the error of a data set: the first `SHOWN` errors, their number, what to do.

    Args:
        errors: one line for each record.
        complete: whether there can be no others.

    """
    count = f"{'' if complete else 'at least '}{len(errors)} error{'s' * (len(errors) > 1)}"
    return RecordError(errors, f"{count}; --on-bad-data skip leaves such records out and lists them.")


@contextmanager
def error_context(record_id: str) -> Iterator[None]:
    """Turn a `DataError` raised inside into a `RecordError` that names the record."""
    try:
        yield
    except DataError as error:
        raise RecordError(f"record {record_id}: {error}") from error


class OutputError(SpaError):
    """An unusable output folder: not empty, not writable, or of another configuration."""


class DiskFullError(OutputError):
    """A full disk while a run was writing; the run can be resumed."""

    exit_code = 1


class CheckpointError(SpaError):
    """Weights that do not fit, or a base that is not the one asked for."""


class DivergenceError(SpaError):
    """A training or a model whose numbers are no longer finite; the report of the run says so."""

    exit_code = 1


class OtherProcessError(SystemExit):
    """The end of a process of a distributed run, because the first one failed."""


@contextmanager
def contain_exit() -> Iterator[None]:
    """Turn an attempt of a component to end the program into a `PluginError`.

    The message names file and line. `SystemExit` in a component would end a run half way with its own exit code.
    Ctrl-C passes.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, GeneratorExit, OtherProcessError):
        raise
    except BaseException as error:
        stack = traceback.extract_tb(error.__traceback__)
        library = sysconfig.get_path("stdlib")
        own = [frame for frame in stack if not frame.filename.startswith(library) or "-packages" in frame.filename]
        frame = (own or stack)[-1]
        cause = f"{type(error).__name__}: {error}"
        raise PluginError(
            f"{frame.filename}, line {frame.lineno}, in {frame.name}: a component may not end the program ({cause}); "
            "raise an exception that says what is wrong instead"
        ) from error


class Note(UserWarning):
    """A note to the user, for `warnings.warn`; the command line prints it as one line."""


def shorten_fault(line: str) -> str:
    """Shorten the text of one error to `LONGEST` characters: long words first, then the middle."""
    if len(line) > LONGEST:
        line = re.sub(r"\S{101,}", lambda word: f"{word[0][:60]}…{word[0][-30:]}", line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 141]} … {line[-138:]}"


def first_line(error: BaseException) -> str:
    """First line of the text of `error`."""
    return str(error).strip().partition("\n")[0]


def describe_unknown(what: str, name: str, there: Iterable[str]) -> str:
    """Describe an unknown name, with similar names and all possible ones."""
    there = list(there)
    near = difflib.get_close_matches(name, there, n=3)
    guess = f"; did you mean {' or '.join(map(repr, near))}?" if near else ";"
    return f"no {what} {name!r}{guess} possible: {', '.join(there) or 'none'}"
