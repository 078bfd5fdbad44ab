"""Reader of Wavefront OBJ meshes: points drawn from the polygons, with their colors.

It reads the files itself. Other readers read indices that count backwards as counted from the end of the file, drop
vertex colors that only some vertices have, and say nothing of a missing texture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from spa3d.data.formats.contract import MOST_POINTS, Cloud, CloudFormat, Reading, scale_colors
from spa3d.data.formats.mesh_sampling import Surface, draw_points
from spa3d.data.formats.mtl import ObjMaterial, read_materials
from spa3d.data.formats.polygons import cut_polygons
from spa3d.data.formats.side_files import decode_names, read_whole
from spa3d.data.formats.tables import parse_table
from spa3d.errors import DataError

_COMMENT = re.compile(r"^([ \t]*(?:v|vt|f)[ \t][^\n#]*)#[^\n]*", re.MULTILINE)
_CORNERS = [re.compile(rf"(?:\s*-?\d{{1,18}}(?:/-?\d{{1,18}}){{{slashes}}}(?=\s|$))*+\s*+") for slashes in range(3)]
"""Texts whose corners all have as many slashes as the index says."""


@dataclass
class _Lines:
    """Lines of a file by keyword; a face comes with the counts of vertices before it."""

    vertices: list[str] = field(default_factory=list)
    coordinates: list[str] = field(default_factory=list)
    faces: list[str] = field(default_factory=list)
    before: list[tuple[int, int]] = field(default_factory=list)
    material: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=lambda: [""])
    libraries: list[str] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)

    def add_face(self, corners: str) -> None:
        """Keep a face."""
        self.faces.append(corners)
        self.before.append((len(self.vertices), len(self.coordinates)))
        self.material.append(len(self.names) - 1)

    def add(self, key: str, rest: str) -> None:
        """Keep a line of any keyword."""
        if key == "v":
            self.vertices.append(rest)
        elif key in ("f", "fo"):
            self.add_face(rest)
        elif key == "vt":
            self.coordinates.append(rest)
        elif key == "usemtl":
            self.names.append(rest)
        elif key == "mtllib":
            self.libraries.append(rest)
        elif key in ("l", "p", "curv", "curv2", "surf"):
            self.ignored.add(key)


@dataclass(frozen=True)
class _Triangles:
    """Indices of vertices and of texture coordinates (-1: none), and of material names."""

    vertices: Int[np.ndarray, "F 3"]
    coordinates: Int[np.ndarray, "F 3"]
    material: Int[np.ndarray, " F"]


def _read_cloud(path: Path, reading: Reading) -> Cloud:
    lines = _split(decode_names(read_whole(path, reading.where)))
    notes = list[str]()
    if lines.ignored:
        notes.append(f"lines, points and curved surfaces ({', '.join(sorted(lines.ignored))}) are left out")
    vertices, colors = _read_vertices(lines.vertices, reading, notes)
    if not lines.faces:
        if not len(vertices):
            raise DataError(f"{reading.where}: neither faces nor vertices; is it an OBJ mesh?")
        return Cloud(vertices, colors).note("no faces: its vertices are the points", *notes)
    triangles = _read_faces(lines, len(vertices), reading.where, notes)
    coordinates = _read_numbers(lines.coordinates, reading.where, "vt")
    used = dict[str, list[int]]()
    for number, name in enumerate(lines.names):
        used.setdefault(name, []).append(number)
    materials = read_materials(path, lines.libraries, used, reading.where, notes)
    lacking = [name for name in used if name and name not in materials]
    if lacking:
        notes.append(
            f"no file of materials has {', '.join(map(repr, lacking[:3]))}; parts of it have no color of their own"
        )
    surfaces = list[Surface]()
    mesh = _Mesh(vertices, colors, coordinates[:, :2] if coordinates.shape[1] > 1 else None, notes)
    for name, numbers in used.items():
        chosen = np.isin(triangles.material, numbers)
        if chosen.any():
            surfaces += mesh.surfaces(triangles, chosen, materials.get(name))
    return draw_points(surfaces, reading).note(*dict.fromkeys(notes))


FORMAT = CloudFormat(
    "OBJ", (".obj",), _read_cloud, "a mesh with the colors and textures of its MTL files, or vertex colors"
)


@dataclass(frozen=True)
class _Mesh:
    """Vertices with their colors, texture coordinates, and the notes on the file."""

    vertices: Float[np.ndarray, "V 3"]
    colors: Float[np.ndarray, "V 3"] | None
    coordinates: Float[np.ndarray, "T 2"] | None
    notes: list[str]

    def surfaces(
        self, triangles: _Triangles, chosen: Bool[np.ndarray, " F"], material: ObjMaterial | None
    ) -> list[Surface]:
        """Surfaces of the triangles of a material: those with texture, and the others."""
        plain = chosen
        result = list[Surface]()
        if material is not None and material.texture is not None and self.coordinates is not None:
            mapped = chosen & (triangles.coordinates >= 0).all(1)
            plain = chosen & ~mapped
            if mapped.any():
                uv = self.coordinates[triangles.coordinates[mapped].ravel()] * material.scale + material.offset
                corners = self.vertices[triangles.vertices[mapped].ravel()]
                faces = np.arange(len(corners)).reshape(-1, 3)
                result.append(Surface(corners, faces, uv=uv, texture=material.texture))
            if self.colors is not None:
                self.notes.append("vertex colors of parts with a texture are left out")
        if plain.any():
            result.append(self._plain(triangles.vertices[plain], material))
        return result

    def _plain(self, faces: Int[np.ndarray, "F 3"], material: ObjMaterial | None) -> Surface:
        if material is not None and material.texture is not None:
            self.notes.append("faces of a textured material have no texture coordinates; they have its plain color")
        if self.colors is not None:
            if material is not None and material.color is not None:
                self.notes.append("colors of materials are left out: the vertices have colors")
            return Surface(self.vertices, faces, vertex_colors=self.colors)
        if material is None or material.color is None:
            return Surface(self.vertices, faces)
        color = np.broadcast_to(np.array(material.color, np.float32), (len(faces), 3))
        return Surface(self.vertices, faces, face_colors=color)


def _split(text: str) -> _Lines:
    """Sort the lines by keyword, the frequent ones first."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\\\n", " ")
    if "#" in text:
        text = _COMMENT.sub(r"\1", text)
    lines = _Lines()
    for line in text.split("\n"):
        key, _, rest = line.partition(" ")
        if key == "v":
            lines.vertices.append(rest)
        elif key == "f":
            lines.add_face(rest)
        elif key == "vt":
            lines.coordinates.append(rest)
        elif key != "vn":
            words = line.split(None, 1)
            if len(words) == 2:
                lines.add(words[0].lower(), words[1].rstrip())
    return lines


def _read_vertices(
    lines: list[str], reading: Reading, notes: list[str]
) -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "V 3"] | None]:
    """Positions, and colors if the vertices have six numbers; of some without, white."""
    values = _read_numbers(lines, reading.where, "v")
    short = next((line for line in lines if len(line.split()) < 3), None) if _is_ragged(values) else None
    if short is not None:
        raise DataError(
            f"{reading.where}: a vertex {short.strip()!r}, but three numbers belong there; export it again."
        )
    if values.shape[1] < 6:
        return values[:, :3].reshape(-1, 3), None
    colors = values[:, 3:6]
    missing = np.isnan(colors).any(1)
    if missing.any():
        notes.append(f"{int(missing.sum())} of {len(values)} vertices have no color; they are white")
    scaled = scale_colors(colors[~missing], reading)
    filled = np.ones((len(values), 3), np.float32)
    filled[~missing] = scaled
    return values[:, :3], filled


def _is_ragged(values: Float[np.ndarray, "V C"]) -> bool:
    """Whether lines of vertices may have had fewer than three numbers."""
    return len(values) > 0 and (values.shape[1] < 3 or bool(np.isnan(values[:, 2]).any()))


def _read_numbers(lines: list[str], where: str, key: str) -> Float[np.ndarray, "N C"]:
    """Numbers of lines with the keyword `key`, NaN where a line has fewer, float64."""
    if not lines:
        return np.empty((0, 0))
    table = parse_table(lines)
    if table is not None:
        return table
    rows = [line.split() for line in lines]
    width = max(map(len, rows))
    try:
        return np.array([[*row, *["nan"] * (width - len(row))] for row in rows], dtype=np.float64)
    except ValueError as error:
        raise DataError(f"{where}: a line {key!r} without numbers ({error}); export it again.") from error


def _read_faces(lines: _Lines, vertices: int, where: str, notes: list[str]) -> _Triangles:
    """Triangles of the faces; raises `DataError` if one refers to what the file has not."""
    counts = np.array([len(line.split()) for line in lines.faces])
    if (counts < 3).any():
        notes.append(f"{int((counts < 3).sum())} faces with fewer than three corners are left out")
    if counts.sum() > MOST_POINTS:
        raise DataError(f"{where}: {counts.sum():,} corners of faces; simplify the mesh to {MOST_POINTS:,}.")
    stated = _read_corners(lines.faces, where)
    before = np.repeat(np.array(lines.before), counts, axis=0)
    first = _resolve(stated[:, 0], before[:, 0], vertices, where, "vertex")
    second = _resolve(stated[:, 1], before[:, 1], len(lines.coordinates), where, "texture coordinate")
    if (first < 0).any():
        raise DataError(f"{where}: a face of vertex 0, but the vertices of OBJ count from 1; export it again.")
    triangles, polygon = cut_polygons(counts)
    return _Triangles(first[triangles], second[triangles], np.array(lines.material)[polygon])


def _read_corners(faces: list[str], where: str) -> Int[np.ndarray, "C 2"]:
    """Indices of vertex and texture coordinate of all corners as they are stated; 0 for none."""
    text = "\n".join(faces).replace("//", "/0/")
    slashes = faces[0].split()[0].replace("//", "/0/").count("/") if faces[0].split() else 0
    if slashes < 3 and _CORNERS[slashes].fullmatch(text):  # all corners have the same form
        numbers = map(int, text.replace("/", " ").split())
        table = np.fromiter(numbers, np.int64).reshape(-1, slashes + 1)
        return np.pad(table, ((0, 0), (0, 1)))[:, :2]
    parts = [corner.split("/", 2) for corner in text.split()]
    try:
        pairs = [(int(part[0]), int(part[1]) if len(part) > 1 and part[1] else 0) for part in parts]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{where}: a corner of a face that is no number ({error}); export it again.") from error


def _resolve(
    stated: Int[np.ndarray, " C"], before: Int[np.ndarray, " C"], total: int, where: str, what: str
) -> Int[np.ndarray, " C"]:
    """Indices from 0, and -1 for 0; negative ones count back from their face."""
    indices = np.where(stated < 0, before + stated, stated - 1)
    wrong = ((stated < 0) & (indices < 0)) | (indices >= total)
    if wrong.any():
        raise DataError(
            f"{where}: a face of {what} {stated[np.argmax(wrong)]}, but the file has {total}; "
            "it is truncated or damaged, copy it again."
        )
    return indices
