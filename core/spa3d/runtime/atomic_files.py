"""Text files that are whole or not there: a reader, another run, or a kill never meets half of one."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write `text` beside `path` and rename it; the folders above are made.

    Half a surrogate pair, which data may hold and UTF-8 cannot, becomes a question mark.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two runs may write the same file at once, each its own draft; the last rename wins.
    draft = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        draft.write_text(text, encoding="utf-8", errors="replace")
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
