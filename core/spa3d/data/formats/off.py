"""Reader of OFF meshes (OFF, COFF, NOFF, CNOFF): points drawn from the polygons.

ModelNet's files, whose first line joins the word OFF and the counts, are read as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from spa3d.data.formats.contract import Cloud, CloudFormat, Reading, scale_colors
from spa3d.data.formats.mesh_sampling import Surface, draw_points
from spa3d.data.formats.polygons import cut_polygons
from spa3d.data.formats.side_files import read_whole
from spa3d.data.formats.tables import parse_table
from spa3d.errors import DataError

_HEADER = re.compile(r"(ST)?(C)?(N)?(4)?(n)?OFF\b(.*)|(ST)?(C)?(N)?OFF(\d.*)")
_COMMENT = re.compile(r"#[^\n]*")


@dataclass(frozen=True)
class _Mesh:
    """Lines of a file by what they hold."""

    normals: bool
    colors: bool
    vertices: list[str]
    faces: list[str]


def _read_cloud(path: Path, reading: Reading) -> Cloud:
    text = read_whole(path, reading.where).decode("utf-8-sig", errors="replace")
    mesh = _split(text, reading.where)
    notes = list[str]()
    rows = _numbers(mesh.vertices, reading.where, "vertex")
    vertex_colors = _vertex_colors(mesh, rows, reading, notes)
    flat, counts, face_colors = _polygons(mesh.faces, reading, notes)
    if (counts < 3).any():
        notes.append(f"{int((counts < 3).sum())} faces with fewer than three corners are left out")
    triangles, polygon = cut_polygons(counts)
    surface = Surface(
        rows[:, :3],
        flat[triangles],
        vertex_colors=vertex_colors if face_colors is None else None,
        face_colors=None if face_colors is None else face_colors[polygon],
    )
    return draw_points([surface], reading).note(*notes)


FORMAT = CloudFormat("OFF", (".off",), _read_cloud, "a mesh in ASCII with vertex or face colors, also ModelNet's")


def _split(text: str, where: str) -> _Mesh:
    """Split a file into its vertices and faces; raises `DataError` if its counts do not fit it."""
    text = text.replace("\r", "\n")
    lines = [
        line for line in (_COMMENT.sub("", text) if "#" in text else text).split("\n") if line and not line.isspace()
    ]
    header = _HEADER.fullmatch(" ".join(lines[0].split())) if lines else None
    if header is None:
        raise DataError(f"{where}: no OFF file: it does not begin with OFF; is it another kind of file?")
    texture, color, normal, four, free, rest = header.group(1, 2, 3, 4, 5, 6)
    if header.group(10):
        texture, color, normal, rest = header.group(7, 8, 9, 10)
    if four or free or texture or "BINARY" in rest:
        raise DataError(f"{where}: this kind of OFF ({lines[0].strip()[:20]}) is not read; save it as OFF or COFF.")
    body = [rest, *lines[1:]] if rest.strip() else lines[1:]
    try:
        vertices, faces = (int(word) for word in body[0].split()[:2])
    except (ValueError, IndexError) as error:
        raise DataError(f"{where}: no numbers of vertices and faces behind OFF; export it again.") from error
    if not 0 <= vertices <= len(body) - 1 or not 0 <= faces <= len(body) - 1 - vertices:
        raise DataError(
            f"{where}: it says {vertices:,} vertices and {faces:,} faces, but {len(body) - 1:,} lines follow; "
            "it is truncated or damaged, copy it again."
        )
    return _Mesh(bool(normal), bool(color), body[1 : 1 + vertices], body[1 + vertices : 1 + vertices + faces])


def _vertex_colors(
    mesh: _Mesh, rows: Float[np.ndarray, "V C"], reading: Reading, notes: list[str]
) -> Float[np.ndarray, "V 3"] | None:
    first = 6 if mesh.normals else 3
    last = first + 3 if mesh.colors else first
    if rows.shape[1] < last:
        raise DataError(
            f"{reading.where}: {rows.shape[1]} numbers per vertex, too few for its header; export it again."
        )
    if not mesh.colors:
        if rows.shape[1] > last:
            notes.append(f"{rows.shape[1] - last} columns of the vertices that its header does not name are left out")
        return None
    return _scale([row.split()[first:last] for row in mesh.vertices], rows[:, first:last], reading)


def _polygons(
    lines: list[str], reading: Reading, notes: list[str]
) -> tuple[Int[np.ndarray, " C"], Int[np.ndarray, " F"], Float[np.ndarray, "F 3"] | None]:
    """Corners of all polygons, their number per polygon, and colors if every polygon has one."""
    table = parse_table(lines)
    if (
        table is not None
        and table.shape[1] > 1
        and (table[:, 0] == table.shape[1] - 1).all()
        and (table % 1 == 0).all()
    ):
        return table[:, 1:].astype(np.int64).ravel(), table[:, 0].astype(np.int64), None
    corners, colors = list[list[int]](), list[list[str]]()
    for words in map(str.split, lines):
        try:
            count = int(words[0])
            indices = [int(word) for word in words[1 : 1 + count]]
        except ValueError as error:
            text = " ".join(words)[:60]
            raise DataError(f"{reading.where}: face {len(corners)} is {text!r}; export it again.") from error
        if count < 0 or len(indices) != count:
            raise DataError(
                f"{reading.where}: face {len(corners)} has {len(indices)} of {count} corners; copy it again."
            )
        corners.append(indices)
        if len(words) >= count + 4:
            colors.append(words[count + 1 : count + 4])
    try:
        flat = np.fromiter(chain.from_iterable(corners), np.int64)
    except OverflowError as error:
        raise DataError(f"{reading.where}: a face of a vertex with too many digits; export it again.") from error
    counts = np.array([len(each) for each in corners], dtype=np.int64)
    if 0 < len(colors) < len(corners):
        notes.append(f"only {len(colors)} of {len(corners)} faces have a color; the face colors are left out")
    if not colors or len(colors) < len(corners):
        return flat, counts, None
    values = _numbers([" ".join(each) for each in colors], reading.where, "color of a face")
    return flat, counts, _scale(colors, values, reading)


def _scale(words: list[list[str]], values: Float[np.ndarray, "N 3"], reading: Reading) -> Float[np.ndarray, "N 3"]:
    """Scale colors: whole numbers above 1 are 0 to 255, as OFF has it, others as `reading` says."""
    whole = all(word.isdigit() for row in words for word in row)
    if whole and values.max(initial=0) > 1:
        return (values / 255).astype(np.float32)
    return scale_colors(values, reading)


def _numbers(lines: list[str], where: str, what: str) -> Float[np.ndarray, "N C"]:
    """Numbers of lines that have equally many; raises `DataError` with the first wrong line."""
    if not lines:
        return np.empty((0, 3))
    table = parse_table(lines)
    if table is not None and table.shape[1] >= 3:
        return table
    width = max(len(lines[0].split()), 3)
    for index, line in enumerate(lines):
        if len(line.split()) != width:
            raise DataError(f"{where}: {what} {index} is {line.strip()[:60]!r}, not {width} numbers; export it again.")
    raise DataError(f"{where}: a {what} that is no numbers; export it again.")
