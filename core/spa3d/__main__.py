"""Process of ``spa3d`` and ``python -m spa3d``: command line, and signals that end it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
DOUBLE = 1.0
"""Seconds after a signal in which another one counts as the same."""
_last: list[float] = []
"""Time of the first signal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; Ctrl-C and SIGTERM end it with the same message and exit code 130.

    A second Ctrl-C within a second is ignored, so that the first one can say how to continue. A later one ends the
    process at once.
    """
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        from spa3d.cli import main as run_verb

        return run_verb(argv)
    except BaseException:  # a library may turn an interrupted import into an error of its own
        if not _last:
            raise
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    finally:
        if _last:  # Python's own end would raise the signal again where it met `exec`, as in every dataclass
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)


def _interrupt(*_: Any) -> None:
    if not _last:
        _last.append(time.monotonic())
        raise KeyboardInterrupt
    if time.monotonic() - _last[0] > DOUBLE:
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
