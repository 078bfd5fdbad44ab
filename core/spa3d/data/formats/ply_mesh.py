"""Surfaces of PLY meshes: polygons or triangle strips, with the colors of any part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from spa3d.data.formats.contract import Cloud, Reading
from spa3d.data.formats.field_names import COLOR, find_fields, has_fields
from spa3d.data.formats.mesh_sampling import Surface, Texture
from spa3d.data.formats.named_arrays import stack_colors
from spa3d.data.formats.pictures import decode_picture
from spa3d.data.formats.ply_records import Lists, Numbers
from spa3d.data.formats.polygons import cut_polygons
from spa3d.data.formats.side_files import find_side_file, read_whole
from spa3d.errors import DataError

_INDICES = ("vertex_indices", "vertex_index")
_CORNERS = "texcoord"
"""Places in the texture of the corners of a face, MeshLab's list."""
_TEXTURE_NUMBER = "texnumber"


@dataclass(frozen=True)
class PlyMesh:
    """Contents of a file with faces.

    Attributes:
        vertices: the vertices, with their colors.
        uv: places of the vertices in a texture, ``(V, 2)``.
        kind: ``face`` or ``tristrips``.
        numbers: properties of the faces.
        lists: lists of the faces.

    """

    vertices: Cloud
    uv: Float[np.ndarray, "V 2"] | None
    kind: str
    numbers: Numbers
    lists: dict[str, Lists]


@dataclass(frozen=True)
class _Triangles:
    """Triangles of polygons.

    Attributes:
        faces: indices of vertices, ``(T, 3)``.
        corners: indices into the lists of corners, ``(T, 3)``.
        polygon: polygon of each triangle, ``(T,)``.

    """

    faces: Int[np.ndarray, "T 3"]
    corners: Int[np.ndarray, "T 3"]
    polygon: Int[np.ndarray, " T"]


def build_surfaces(
    mesh: PlyMesh, textures: tuple[str, ...], path: Path, reading: Reading
) -> tuple[list[Surface], list[str]]:
    """Build the surfaces of a mesh, one per texture, and notes about them.

    A texture counts before colors of vertices, and these before colors of faces.

    Raises:
        DataError: no lists of vertices, or a missing texture where nothing else has a color.

    """
    notes: list[str] = []
    triangles = _cut(mesh, reading.where, notes)
    points = mesh.vertices.points
    uv = _corner_uv(mesh, triangles) if textures else None
    if uv is not None:
        try:
            pictures = [_load(path, name, reading.where) for name in textures]
            return _build_textured(mesh, triangles, uv, pictures), notes
        except DataError as error:
            if mesh.vertices.colors is None and not has_fields(find_fields(mesh.numbers), COLOR):
                raise
            notes.append(f"the texture is not used: {str(error).removeprefix(reading.where).lstrip(': ,')}")
    if mesh.vertices.colors is not None:
        return [Surface(points, triangles.faces, vertex_colors=mesh.vertices.colors)], notes
    return [Surface(points, triangles.faces, face_colors=_face_colors(mesh, triangles, reading))], notes


def _cut(mesh: PlyMesh, where: str, notes: list[str]) -> _Triangles:
    name = next((each for each in _INDICES if each in mesh.lists), None)
    if name is None:
        there = ", ".join(mesh.lists) or "none"
        raise DataError(f"{where}: its faces have no list {' or '.join(_INDICES)}; lists: {there}.")
    indices = mesh.lists[name]
    if indices.values.dtype.kind == "f" and not (indices.values % 1 == 0).all():
        raise DataError(f"{where}: an index of a vertex in {name} is no whole number.")
    values = indices.values.astype(np.int64)
    if mesh.kind == "tristrips":
        faces = _cut_strips(values, indices.lengths)
        return _Triangles(faces, faces, np.zeros(len(faces), np.int64))
    corners, polygon = cut_polygons(indices.lengths)
    few, many = int((indices.lengths < 3).sum()), int((indices.lengths > 3).sum())
    if few:
        notes.append(f"{few:,} faces with fewer than three corners are left out")
    if many:
        notes.append(f"{many:,} faces with more than three corners are cut into triangles")
    return _Triangles(values[corners], corners, polygon)


def _cut_strips(values: Int[np.ndarray, " P"], lengths: Int[np.ndarray, " N"]) -> Int[np.ndarray, "T 3"]:
    """Triangles of strips, which are separated by -1; every second one is turned."""
    values = np.insert(values, np.cumsum(lengths)[:-1], -1)
    windows = np.stack([values[:-2], values[1:-1], values[2:]], axis=1) if len(values) > 2 else np.empty((0, 3), int)
    order = np.arange(len(values))
    start = np.maximum.accumulate(np.where(values == -1, order, -1)) + 1
    odd = ((order - start) % 2 == 1)[: len(windows)]
    windows[odd] = windows[odd][:, [1, 0, 2]]
    return windows[(windows >= 0).all(axis=1)]


def _corner_uv(mesh: PlyMesh, triangles: _Triangles) -> Float[np.ndarray, "C 2"] | None:
    """Places in the texture of the corners of the triangles, ``(3 T, 2)``; None: there are none."""
    faces = triangles.faces
    if not len(faces) or faces.min() < 0 or faces.max() >= len(mesh.vertices):
        return None  # drawing from it fails with a message
    places = mesh.lists.get(_CORNERS)
    indices = next(mesh.lists[each] for each in _INDICES if each in mesh.lists)
    if places is not None and mesh.kind == "face" and np.array_equal(places.lengths, 2 * indices.lengths):
        return places.values.reshape(-1, 2)[triangles.corners.ravel()].astype(np.float64)
    return None if mesh.uv is None else mesh.uv[faces.ravel()].astype(np.float64)


def _load(path: Path, name: str, where: str) -> Texture:
    where = f"{where}, TextureFile"
    return Texture(decode_picture(read_whole(find_side_file(path, name, where), where), where)[..., :3])


def _build_textured(
    mesh: PlyMesh, triangles: _Triangles, uv: Float[np.ndarray, "C 2"], textures: list[Texture]
) -> list[Surface]:
    """Surfaces whose triangles share no corners, one per texture."""
    points = mesh.vertices.points
    stated = mesh.numbers.get(_TEXTURE_NUMBER)
    number = np.zeros(len(triangles.faces)) if stated is None else stated[triangles.polygon]
    surfaces = []
    for index, texture in enumerate(textures):
        chosen = number == index
        faces = triangles.faces[chosen]
        corners = np.repeat(chosen, 3)
        own = np.arange(faces.size).reshape(-1, 3)
        surfaces.append(Surface(points[faces.ravel()], own, uv=uv[corners], texture=texture))
    return surfaces


def _face_colors(mesh: PlyMesh, triangles: _Triangles, reading: Reading) -> Float[np.ndarray, "T 3"] | None:
    names = list(mesh.numbers)
    fields = find_fields(names)
    if not has_fields(fields, COLOR) or mesh.kind == "tristrips":
        return None
    channels = [mesh.numbers[names[fields[field]]] for field in COLOR]
    return stack_colors(channels, reading)[triangles.polygon]
