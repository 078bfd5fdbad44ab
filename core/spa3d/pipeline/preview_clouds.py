"""Preview sheet of cloud files of any format, each as its reader returns it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Float

from spa3d.data.cloud_checks import Colors
from spa3d.data.formats.candidates import is_cloud_file
from spa3d.data.formats.contract import Cloud, note_kind
from spa3d.data.formats.read import read_cloud
from spa3d.errors import SHOWN, DataError
from spa3d.rendering.numbers import format_count
from spa3d.rendering.point_cloud import rotate_y_up
from spa3d.rendering.sheets import draw_contact_sheet
from spa3d.runtime.paths import folder_problem, naming_write_errors
from spa3d.runtime.rng import keyed_generator

COLORS: tuple[Colors, ...] = get_args(Colors)
AUTO = "auto"
UP_AXES = (AUTO, "x", "y", "z")
_Z_UP = (".stl", ".las", ".laz", ".e57")
"""Files of printers and surveyors, whose z is up by custom; glTF's y is, and that of most other meshes."""


@dataclass(frozen=True)
class CloudsRequest:
    """Request of a sheet of cloud files.

    Attributes:
        path: the sheet, a PNG.
        sources: cloud files, and folders that are searched for them.
        count: most files, from the first.
        points: points drawn from a mesh, and most points of a cloud in its picture.
        colors: one of `COLORS`, for files that do not state the range of theirs.
        up_axis: one of `UP_AXES`; ``auto``: z for files whose z is up by custom, y for others.

    """

    path: Path
    sources: tuple[Path, ...]
    count: int
    points: int
    colors: Colors = "0-1"
    up_axis: str = AUTO


def draw_clouds(request: CloudsRequest, *, skipped: Callable[[str], None], noted: Callable[[str], None]) -> str:
    """Draw the contact sheet and describe it.

    Args:
        request: what is drawn.
        skipped: gets a line per file that cannot be read.
        noted: gets a line per kind of note on the files: what was guessed, converted or left out.

    Raises:
        DataError: there are no cloud files, or none of them can be read.
        OutputError: the sheet cannot be written.

    """
    files = find_clouds(request.sources)
    if not files:
        raise DataError(f"{', '.join(map(str, request.sources))}: no cloud files in it, by their endings.")
    pictures, labels, errors, notes = [], [], list[str](), dict[str, list[str]]()
    for file, name in files[: request.count]:
        try:
            cloud = read_cloud(file, colors=request.colors, count=request.points)
        except DataError as error:
            errors.append(str(error))
            continue
        up_axis = _choose_up_axis(file) if request.up_axis == AUTO else request.up_axis
        pictures.append(rotate_y_up(_thin_out(cloud, request.points), up_axis))
        labels.append(_describe(name, cloud, up_axis))
        for note in cloud.notes:
            notes.setdefault(note_kind(note), []).append(f"{name}: {note}")
    if not pictures:
        more = [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
        raise DataError("\n".join(["none of these files can be read:", *errors[:SHOWN], *more]))
    for line in errors:
        skipped(line)
    for same in notes.values():
        noted(same[0] if len(same) == 1 else f"{same[0]} (and the like: {len(same) - 1} more)")
    with naming_write_errors(request.path):
        draw_contact_sheet(pictures, labels, request.path)
    unreadable = f"; {len(errors)} cannot be read" if errors else ""
    return f"{len(pictures)} of {format_count(len(files), 'file')}{unreadable}"


def find_clouds(sources: Sequence[Path]) -> list[tuple[Path, str]]:
    """Find cloud files, each with a name for labels.

    Of a folder they are all below it, sorted, without hidden ones, links to folders and texts about clouds. A file
    that is named itself is there whatever it is.
    """
    result = dict[Path, str]()
    for source in sources:
        if folder_problem(source):
            result.setdefault(source, source.name)
            continue
        for folder, inner, names in os.walk(source):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            for name in sorted(names):
                file = Path(folder) / name
                if not name.startswith(".") and is_cloud_file(file):
                    result.setdefault(file, file.relative_to(source).as_posix())
    return list(result.items())


def _choose_up_axis(file: Path) -> str:
    return "z" if file.suffix.lower() in _Z_UP else "y"


def _thin_out(cloud: Cloud, most: int) -> Float[np.ndarray, "N 6"]:
    """Array of a cloud for its picture: at most `most` of its points."""
    if len(cloud) > most:
        chosen = np.sort(keyed_generator("preview", most).choice(len(cloud), most, replace=False))
        colors = None if cloud.colors is None else cloud.colors[chosen]
        cloud = replace(cloud, points=cloud.points[chosen], colors=colors, normals=None)
    return cloud.to_array()


def _describe(name: str, cloud: Cloud, up_axis: str) -> str:
    color = "no color" if cloud.colors is None else "color"
    upright = "" if up_axis == "y" else f", {up_axis} up"
    return f"{name}  {format_count(len(cloud), 'point')}, {color}{upright}"
