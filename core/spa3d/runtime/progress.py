"""Progress of long work: the interface that the library calls, and a silent default."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Advance = Callable[[int], None]
"""Moves a progress bar on by so many units."""


class Reporter(Protocol):
    """Receiver of progress messages. All text is plain: markup is shown, not interpreted."""

    def stage(self, name: str, detail: str = "") -> None:
        """Report that a stage begins, or is skipped because its result exists; see `detail`."""

    def track(self, total: int, description: str) -> AbstractContextManager[Advance]:
        """Follow `total` units of work: ``with reporter.track(400, "questions") as advance``."""

    def say(self, text: str) -> None:
        """Report one line for a log."""

    def warn(self, text: str) -> None:
        """Report a warning; the run continues."""


class SilentReporter:
    """Reporter without output: the default for callers from Python, and for tests."""

    def stage(self, name: str, detail: str = "") -> None:
        """Nothing."""

    def track(self, total: int, description: str) -> AbstractContextManager[Advance]:
        """Nothing; progress is ignored."""
        return nullcontext(_ignore)

    def say(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""


def _ignore(units: int) -> None:
    """Ignore progress."""
