"""Reader of a cloud from a file of any known format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from spa3d.data.cloud_checks import Colors
from spa3d.data.formats import e57, las, npy, npz, obj, off, pcd, ply, pt, stl, text
from spa3d.data.formats.content import refuse_other_content
from spa3d.data.formats.contract import DEFAULT, MESH_POINTS, Cloud, CloudFormat, Reading
from spa3d.data.formats.gltf import read as gltf
from spa3d.errors import DataError
from spa3d.runtime.paths import file_problem

FORMATS: tuple[CloudFormat, ...] = (
    ply.FORMAT,
    gltf.FORMAT,
    obj.FORMAT,
    off.FORMAT,
    stl.FORMAT,
    pcd.FORMAT,
    text.FORMAT,
    las.FORMAT,
    e57.FORMAT,
    npy.FORMAT,
    npz.FORMAT,
    pt.FORMAT,
)
"""All formats; no two share a suffix."""
_BY_SUFFIX = {suffix: each for each in FORMATS for suffix in each.suffixes}


def read_cloud(path: str | Path, *, colors: Colors = "0-1", count: int = MESH_POINTS, seed: int = 0) -> Cloud:
    """Read a cloud from a file, and check it.

    Points are drawn by area from a mesh; the draws are a pure function of `seed` and the mesh.

    Args:
        path: a file of one of `FORMATS`, known by its suffix.
        colors: range of colors whose range the file does not state.
        count: number of points drawn from a mesh.
        seed: seed of these draws.

    Raises:
        DataError: there is no such file, its format is unknown, or it holds no valid cloud; the message names the
            file.

    """
    return parse_cloud(path, Reading(colors, count, ("mesh", seed))).finish()


def parse_cloud(path: str | Path, reading: Reading = DEFAULT) -> Cloud:
    """Read a cloud from a file without checking it; raises `DataError` if it cannot be read."""
    file = Path(path)
    reading = replace(reading, where=reading.where or str(path))
    known = find_format(file)
    if known is None:
        ending = f"the ending {file.suffix}" if file.suffix else "a name without an ending"
        raise DataError(f"{reading.where}: no format has {ending}; possible: {', '.join(_BY_SUFFIX)}")
    problem = file_problem(file)
    if problem:
        raise DataError(f"{reading.where}: cannot be read: {problem}.")
    refuse_other_content(file, reading.where)
    with np.errstate(over="ignore", invalid="ignore"):  # NaN and infinity are refused by the check of the cloud
        return replace(known.read(file, reading), source=str(path))


def find_format(path: Path) -> CloudFormat | None:
    """The format of a file by its suffix; None if it is unknown."""
    return _BY_SUFFIX.get(path.suffix.lower())
