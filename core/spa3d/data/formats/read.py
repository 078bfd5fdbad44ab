"""Reader of a cloud from a file of any known format."""

from __future__ import annotations

from pathlib import Path

from spa3d.contracts.dataset import Cloud
from spa3d.data.cloud_checks import Colors
from spa3d.data.formats.npy import columns, read_npy


def read_cloud(path: str | Path, *, colors: Colors = "0-1") -> tuple[Cloud, bool]:
    """Read a cloud ``(N, 6)``, xyz and rgb in [0, 1], and whether it has colors of its own.

    Args:
        path: a ``.npy`` file of shape ``(N, 6)``, or ``(N, 3)`` without color (rgb is 0 then).
        colors: range of the colors in the file.

    Raises:
        DataError: there is no such file, or no valid cloud in it; the message names the file.

    """
    file = Path(path)
    return read_npy(file, record_id="", colors=colors), columns(file, record_id="") == 6
