"""How long work tells what it is doing. The library calls a `Reporter`; only the command line decides how it looks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Advance = Callable[[int], None]
"""Moves a progress bar on by so many units."""


class Reporter(Protocol):
    """What a run may say while it works. All text is plain: markup in it is shown, never interpreted."""

    def stage(self, name: str, detail: str = "") -> None:
        """A stage begins, or is skipped because its result is there; `detail` says which."""

    def track(self, total: int, description: str) -> AbstractContextManager[Advance]:
        """Follow `total` units of work: ``with reporter.track(400, "questions") as advance: advance(32)``."""

    def say(self, text: str) -> None:
        """One line worth reading in a log."""

    def warn(self, text: str) -> None:
        """Something the user should know although the run goes on."""


class Silent:
    """Says nothing: the default for callers from Python, and for tests."""

    def stage(self, name: str, detail: str = "") -> None:
        """Nothing."""

    def track(self, total: int, description: str) -> AbstractContextManager[Advance]:
        """A bar that nobody sees."""
        return nullcontext(_ignore)

    def say(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""


def _ignore(units: int) -> None:
    """Accept progress and forget it."""
