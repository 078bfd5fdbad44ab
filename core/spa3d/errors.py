"""The errors a user can cause, one small family.

A message says what was asked, where it came from (flag, file and line, plugin), what is possible and what to
do next. The command line prints it without a traceback and exits with code 2; everything that is not one of
these is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class SpaError(Exception):
    """An error of the input, not of the program: one message, exit code 2."""


class RegistryError(SpaError):
    """An unknown name, a clash of names, or a registry.yaml that does not hold together."""


class PluginError(SpaError):
    """A plugin that cannot be imported or that breaks the contract of its kind."""


class ConfigError(SpaError):
    """One or more errors in flags or YAML, all of them reported together."""

    def __init__(self, errors: str | Sequence[str]) -> None:
        self.errors: tuple[str, ...] = (errors,) if isinstance(errors, str) else tuple(errors)
        super().__init__("\n".join(self.errors))


class DataError(SpaError):
    """A file or a record that is not what it should be; the message names both."""


@contextmanager
def error_context(record_id: str) -> Iterator[None]:
    """Let a `DataError` raised inside say whose data it is about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"record {record_id}: {error}") from error


class OutputError(SpaError):
    """An unusable output folder: not empty, not writable, or of another configuration."""


class CheckpointError(SpaError):
    """Weights that do not fit, or a base that is not the one asked for."""


def first_line(error: Exception) -> str:
    """First line of the text of `error`."""
    return str(error).strip().partition("\n")[0]
