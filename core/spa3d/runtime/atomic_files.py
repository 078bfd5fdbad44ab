"""Atomic writing of text files: after a kill or during a write a file is never incomplete."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write `text` to a temporary file and rename it to `path`; missing folders are made.

    Half a surrogate pair, which UTF-8 cannot encode, becomes a question mark.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two runs may write the same file at once, each to its own temporary file; the last rename wins.
    draft = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        draft.write_text(text, encoding="utf-8", errors="replace")
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
