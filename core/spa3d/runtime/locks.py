"""Waiting for one's turn at a file: of several processes one works, the others are told and wait."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from typing import IO, Any


def wait_for(file: IO[Any], busy: Callable[[], object]) -> None:
    """Lock `file` until it is closed; `busy` is called before waiting for whoever holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        busy()
        fcntl.flock(file, fcntl.LOCK_EX)
