"""Files of meshes, and the files beside them that they name.

A named file must lie in the folder of the mesh, or in a folder below it: nothing else is ever opened.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from spa3d.errors import DataError
from spa3d.runtime.paths import file_problem, open_file

MOST_BYTES = 2**31
"""Largest file that is read whole."""


def read_whole(path: Path, where: str) -> bytes:
    """Read a file; raises `DataError` about `where` if it is too large or cannot be read."""
    with open_file(path, where, DataError) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise DataError(f"{where}: larger than {MOST_BYTES / 2**30:.0f} GiB; simplify the mesh, or save it as a cloud.")
    return data


def decode_names(data: bytes) -> str:
    """Decode a text whose names may have been written on an old system: UTF-8, or else Latin-1."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def find_side_file(mesh: Path, name: str, where: str) -> Path:
    """Find the file `name` beside a mesh.

    Args:
        mesh: file of the mesh.
        name: path as the mesh states it, relative to its folder; a backslash is a slash.
        where: the mesh and what names the file, for messages.

    Raises:
        DataError: it is an address or an absolute path, it leaves the folder, also by a link, or there is no such file.

    """
    relative = PurePosixPath(name.strip().replace("\\", "/"))
    if "://" in name:
        raise DataError(f"{where}: {name!r} is an address; nothing is downloaded, so save it beside {mesh.name}.")
    if relative.is_absolute() or PureWindowsPath(name.strip()).drive or ".." in relative.parts:
        raise DataError(
            f"{where}: {name!r} leaves the folder of {mesh.name}; copy the file there, and name it {relative.name!r}."
        )
    stated = mesh.parent / relative
    problem = file_problem(stated)
    path = _find_other_case(stated) if problem else stated
    if path is None:
        raise DataError(f"{where}: {name!r} cannot be read: {problem}; copy it to the folder of {mesh.name}.")
    if not path.resolve().is_relative_to(mesh.parent.resolve()):
        raise DataError(f"{where}: {name!r} is a link that leaves the folder of {mesh.name}; copy the file there.")
    return path


def _find_other_case(path: Path) -> Path | None:
    """The only file whose name differs from that of `path` in upper and lower case at most."""
    try:
        same = [each for each in path.parent.iterdir() if each.name.lower() == path.name.lower()]
    except (OSError, ValueError):
        return None
    return same[0] if len(same) == 1 and not file_problem(same[0]) else None
