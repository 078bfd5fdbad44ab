"""Full disks, told from the errors of the libraries that write."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spa3d.errors import DiskFullError, SpaError

WORDS = ("no space left", "os error 28", "disk quota exceeded", "os error 122", "streamwriter failed", "unexpected pos")
"""Words of errors that are no `OSError`: those of safetensors (in Rust) and of torch's writer of checkpoints."""


def is_disk_full(error: BaseException) -> bool:
    """Whether `error`, or one that led to it, says that no space is left."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(word in str(seen).lower() for word in WORDS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn the error of a full disk into a `DiskFullError` that names the folder being written."""
    try:
        yield
    except SpaError:
        raise
    except Exception as error:
        if not is_disk_full(error):
            raise
        raise DiskFullError(
            f"{folder}: no space is left on the disk; make room, and continue with the same command and --resume"
        ) from error
