"""The folder in which bases and caches are shared by runs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from spa3d.errors import OutputError


def bases_folder() -> Path:
    """Where bases are shared: ``$SPA3D_BASES``, or ``runs/.bases``."""
    return Path(os.environ.get("SPA3D_BASES", "runs/.bases"))


def make_bases_folder() -> None:
    """Make the folder of the bases where it is missing; raises `OutputError` where it cannot be written."""
    folder = bases_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as fault:
        raise OutputError(
            f"{folder}: bases cannot be kept there ({fault.strerror}); name another folder in the variable SPA3D_BASES"
        ) from fault
