"""Everything the command line prints: two consoles, and the two faces of a run's progress.

Results go to stdout, progress and complaints to stderr. A terminal gets color and bars; a file or pipe gets plain
lines, no wrapping and no bars. Text that comes from data, plugins or users never reaches rich as markup, and its
control characters are shown, not obeyed.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from spa3d.ops.selection import SlowerBackend
from spa3d.runtime import distributed
from spa3d.runtime.progress import Advance, Reporter, Silent

PLAIN_WIDTH = 200
"""Columns where nobody looks: wide enough that a table row stays one line."""
PLAIN_PAUSE = 60.0
"""Seconds between two lines about the same long work in a log."""


def output() -> Console:
    """The console of results, on stdout."""
    return _console(sys.stdout)


def complaints() -> Console:
    """The console of progress and errors, on stderr."""
    return _console(sys.stderr)


def plain(text: object, style: str = "") -> Text:
    """`text` as it is: no markup, and control characters as escapes."""
    shown = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text))
    return Text(shown, style=style)


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """What Python does with a warning that is due: ours is one line to the user, others look as ever."""
    if issubclass(category, SlowerBackend):
        if is_first_process():
            complaints().print(plain("note: ", "yellow") + plain(message), soft_wrap=True)
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        (file or sys.stderr).write(text)


def is_first_process() -> bool:
    """Of several processes of one run (torchrun sets RANK) only the first speaks."""
    return distributed.rank() == 0


def make_reporter() -> Reporter:
    """Bars on a terminal, lines elsewhere."""
    if not is_first_process():
        return Silent()
    console = complaints()
    return Bars(console) if console.is_terminal else Lines(console)


class Lines:
    """Progress as a log: one line per stage, one per finished work, and now and then one on the way."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def stage(self, name: str, detail: str = "") -> None:
        """Name the stage."""
        self._print(f"== {name}" + (f": {detail}" if detail else ""))

    @contextmanager
    def track(self, total: int, description: str) -> Iterator[Advance]:
        """Say when the work is done, and once a minute how far it is."""
        start = spoken = time.monotonic()
        done = 0

        def advance(units: int) -> None:
            nonlocal done, spoken
            done += units
            if time.monotonic() - spoken >= PLAIN_PAUSE:
                spoken = time.monotonic()
                self._print(f"{description}: {done} of {total} in {spoken - start:.0f} s")

        yield advance
        self._print(f"{description}: {done} of {total} in {time.monotonic() - start:.1f} s")

    def say(self, text: str) -> None:
        """One line."""
        self._print(text)

    def warn(self, text: str) -> None:
        """One line that begins with ``warning``."""
        self._print(f"warning: {text}")

    def _print(self, text: str) -> None:
        self.console.print(plain(text), soft_wrap=True)


class Bars:
    """Progress on a terminal: bars that go when the work is done, lines that stay."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("  {task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )

    def stage(self, name: str, detail: str = "") -> None:
        """Name the stage, in bold."""
        self.console.print(plain(name, "bold cyan"), plain(detail, "dim"))

    @contextmanager
    def track(self, total: int, description: str) -> Iterator[Advance]:
        """A bar; work inside other work gets a bar of its own below."""
        if not self._progress.tasks:
            self._progress.start()
        task = self._progress.add_task(plain(description).plain, total=total)
        try:
            yield lambda units: self._progress.advance(task, units)
        finally:
            self._progress.remove_task(task)
            if not self._progress.tasks:
                self._progress.stop()

    def say(self, text: str) -> None:
        """One line above the bars."""
        self.console.print(plain(text))

    def warn(self, text: str) -> None:
        """One yellow line above the bars."""
        self.console.print(plain(f"warning: {text}", "yellow"))


def _console(stream: TextIO) -> Console:
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")  # a narrow encoding must not end a run
    wide = None if stream.isatty() or os.environ.get("COLUMNS") else PLAIN_WIDTH
    return Console(file=stream, width=wide, highlight=False)
