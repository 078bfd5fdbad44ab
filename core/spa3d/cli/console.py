"""Output of the command line: two consoles, and two reporters of a run's progress.

Results go to stdout, progress and errors to stderr. A terminal gets colors and bars; a file or pipe gets plain lines
without wrapping, except for pages of help. Text from data, plugins or users is never interpreted as markup, and its
control characters are escaped.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from spa3d.errors import Note
from spa3d.runtime import distributed
from spa3d.runtime.plain_text import escape_controls
from spa3d.runtime.progress import Advance, Reporter, SilentReporter

PLAIN_WIDTH = 200
"""Columns of a file or pipe: wide enough that a table row stays on one line."""
PAGE_WIDTH = 80
"""Columns of a page of help in a file or pipe."""
PLAIN_PAUSE = 60.0
"""Seconds between two progress lines of the same task in a log."""


def output() -> Console:
    """The console of results, on stdout."""
    return _make_console(sys.stdout)


def page() -> Console:
    """The console of a page of help, on stdout."""
    return _make_console(sys.stdout, PAGE_WIDTH)


def error_console() -> Console:
    """The console of progress and errors, on stderr."""
    return _make_console(sys.stderr)


def escape_text(text: object, style: str = "") -> Text:
    """Make text for rich without markup; control characters are escaped."""
    return Text(escape_controls(str(text)), style=style)


def print_meanings(console: Console, meanings: Mapping[str, str]) -> None:
    """Print words, such as flags, each beside its meaning."""
    table = make_page_table()
    for word, meaning in meanings.items():
        table.add_row(escape_text(word, "bold cyan"), escape_text(meaning))
    console.print(table)


def make_page_table(width: int | None = None) -> Table:
    """Make a table of words, in `width` columns, with their meanings."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(width=width, overflow="fold")
    table.add_column(overflow="fold")
    return table


def print_sentence(console: Console, sentence: Text) -> None:
    """Print a sentence: a terminal breaks its lines between words, a file or pipe gets one line."""
    console.print(sentence, soft_wrap=not console.is_terminal)


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a warning for Python: a `Note` as one line, others in the usual format."""
    if issubclass(category, Note):
        if is_first_process():
            print_sentence(error_console(), escape_text("note: ", "yellow") + escape_text(message))
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        (file or sys.stderr).write(escape_controls(text))


def is_first_process() -> bool:
    """Whether this is the first process of a run (torchrun sets RANK); the others print nothing."""
    return distributed.rank() == 0


def make_reporter() -> Reporter:
    """Make a reporter: bars on a terminal, lines elsewhere."""
    if not is_first_process():
        return SilentReporter()
    console = error_console()
    return Bars(console) if console.is_terminal else Lines(console)


class Lines:
    """Progress as a log: one line per stage and per finished task, and one a minute in between."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def stage(self, name: str, detail: str = "") -> None:
        """Print the name of the stage."""
        self._print(f"== {name}" + (f": {detail}" if detail else ""))

    @contextmanager
    def track(self, total: int, description: str) -> Iterator[Advance]:
        """Print a line when the task is done, and one a minute before that."""
        start = printed = time.monotonic()
        done = 0

        def advance(units: int) -> None:
            nonlocal done, printed
            done += units
            if time.monotonic() - printed >= PLAIN_PAUSE:
                printed = time.monotonic()
                self._print(f"{description}: {done} of {total} in {printed - start:.0f} s")

        yield advance
        self._print(f"{description}: {done} of {total} in {time.monotonic() - start:.1f} s")

    def say(self, text: str) -> None:
        """Print one line."""
        self._print(text)

    def warn(self, text: str) -> None:
        """Print one line that begins with ``warning``."""
        self._print(f"warning: {text}")

    def _print(self, text: str) -> None:
        self.console.print(escape_text(text), soft_wrap=True)


class Bars:
    """Progress on a terminal: bars that disappear when the task is done, lines that stay."""

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
        """Print the name of the stage in bold."""
        self.console.print(escape_text(name, "bold cyan"), escape_text(detail, "dim"))

    @contextmanager
    def track(self, total: int, description: str) -> Iterator[Advance]:
        """Show a bar; a nested task gets its own bar below."""
        if not self._progress.tasks:
            self._progress.start()
        task = self._progress.add_task(escape_text(description).plain, total=total)
        try:
            yield lambda units: self._progress.advance(task, units)
        finally:
            self._progress.remove_task(task)
            if not self._progress.tasks:
                self._progress.stop()

    def say(self, text: str) -> None:
        """Print one line above the bars."""
        self.console.print(escape_text(text))

    def warn(self, text: str) -> None:
        """Print one yellow line above the bars."""
        self.console.print(escape_text(f"warning: {text}", "yellow"))


def _make_console(stream: TextIO, plain_width: int = PLAIN_WIDTH) -> Console:
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")  # a narrow encoding must not end a run
    width = None if stream.isatty() or os.environ.get("COLUMNS") else plain_width
    return Console(file=stream, width=width, highlight=False)
