"""Blocking exclusive file lock, with a callback before waiting."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from typing import IO, Any


def wait_for(file: IO[Any], on_wait: Callable[[], object]) -> None:
    """Lock `file` until it is closed; `on_wait` is called before waiting for another process."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(file, fcntl.LOCK_EX)
