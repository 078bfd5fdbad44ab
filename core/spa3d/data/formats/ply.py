"""Reader of PLY files: clouds, and meshes from which points are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from spa3d.data.formats.cloud_buffer import CloudBuffer, refuse_many
from spa3d.data.formats.contract import Cloud, CloudFormat, Reading, import_reader
from spa3d.data.formats.field_names import COLOR, NORMAL, POINT, USED, find_fields, has_fields
from spa3d.data.formats.mesh_sampling import draw_points
from spa3d.data.formats.named_arrays import stack_colors
from spa3d.data.formats.ply_header import PlyElement, PlyHeader, read_header
from spa3d.data.formats.ply_mesh import PlyMesh, build_surfaces
from spa3d.data.formats.ply_records import Numbers, PlyRecords, Records
from spa3d.errors import DataError
from spa3d.runtime.paths import open_file

_SURFACES = ("face", "tristrips")
_TEXTURE = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texcoord_u", "texcoord_v"))
_HARMONICS = ("f_dc_0", "f_dc_1", "f_dc_2")
_HARMONIC = 0.28209479177387814
"""Value of the first spherical harmonic; the color of a Gaussian is 0.5 plus its coefficient times this."""


def _read(path: Path, reading: Reading) -> Cloud:
    plyfile = import_reader("plyfile", reading.where)
    with open_file(path, reading.where, DataError) as file:
        size = path.stat().st_size
        header = read_header(plyfile, file, size, reading.where)
        vertex = header.find("vertex")
        if vertex is None:
            there = ", ".join(each.name for each in header.elements) or "none"
            raise DataError(f"{reading.where}: no element vertex, so no points; elements: {there}.")
        refuse_many(vertex.count, reading.where)
        surface = next((each for each in header.elements if each.name in _SURFACES and each.count), None)
        vertices = _Vertices(vertex, reading)
        records = _read_elements(PlyRecords(file, header, size, reading.where), header, vertices, surface)
    ignored = [each.name for each in header.elements if each not in (vertex, surface) and each.count]
    notes = [*vertices.notes(), *([f"elements that are not used: {', '.join(ignored)}"] if ignored else [])]
    if surface is None or records is None:
        return vertices.cloud.note(*notes)
    mesh = PlyMesh(vertices.cloud, vertices.uv, surface.name, *records)
    surfaces, further = build_surfaces(mesh, header.textures, path, reading)
    return draw_points(surfaces, reading).note(*notes, *further)


FORMAT = CloudFormat(
    "PLY", (".ply",), _read, "ascii and binary; clouds, and meshes with vertex, face or texture colors"
)


class _Vertices:
    """Points of a file with their colors, normals and places in a texture.

    Args:
        element: the element ``vertex``.
        reading: how the file is read.

    """

    def __init__(self, element: PlyElement, reading: Reading) -> None:
        names = [name for name in element.scalars if name not in element.lengths]
        fields = find_fields(names)
        if not has_fields(fields, POINT):
            raise DataError(
                f"{reading.where}: its vertices have no x, y and z; there: {', '.join(names) or 'nothing'}."
            )
        self.element, self.reading = element, reading
        self.cloud = Cloud(np.empty((0, 3)))
        self.uv: np.ndarray | None = None
        self._names = {field: names[position] for field, position in fields.items()}
        self._has_harmonics = not has_fields(fields, COLOR) and set(_HARMONICS) <= set(names)
        self._has_color = has_fields(fields, COLOR) or self._has_harmonics
        self._uv_names = next((pair for pair in _TEXTURE if set(pair) <= set(names)), None)

    def read(self, records: PlyRecords, *, with_uv: bool) -> None:
        """Read them; places in a texture only if they are wanted."""
        has_normals = has_fields(self._names, NORMAL)
        buffer = CloudBuffer(self.element.count, colors=self._has_color, normals=has_normals)
        uv: list[np.ndarray] = []
        for block in records.read_numbers(self.element):
            normals = self._stack(block, NORMAL) if has_normals else None
            buffer.add(self._stack(block, POINT), self._colors(block) if self._has_color else None, normals)
            if with_uv and self._uv_names is not None:
                uv.append(np.stack([block[name] for name in self._uv_names], axis=1))
        self.uv = np.concatenate(uv) if uv else None
        types = [self.element.scalars[self._names[axis]] for axis in POINT]
        precision = np.result_type(*types) if all(each.kind == "f" for each in types) else np.dtype(np.float64)
        self.cloud = replace(buffer.build(), precision=precision)

    def notes(self) -> Iterator[str]:
        """What was converted, and what is not used."""
        types = {self.element.scalars[self._names[axis]] for axis in POINT}
        if any(each.kind in "iu" for each in types):
            yield f"coordinates are whole numbers ({min(each.name for each in types)}); their unit is taken as 1"
        if self._has_harmonics:
            yield "Gaussian splats: their centers, with the color of the first harmonic (f_dc); the rest is not used"
            return
        used = {self._names[field] for field in USED if field in self._names} | set(self._uv_names or ())
        rest = [name for name in self.element.scalars if name not in used]
        if rest:
            yield f"properties that are not used: {', '.join(rest[:20])}{' …' * (len(rest) > 20)}"

    def _stack(self, block: Numbers, fields: tuple[str, ...]) -> np.ndarray:
        return np.stack([block[self._names[field]] for field in fields], axis=1)

    def _colors(self, block: Numbers) -> np.ndarray:
        if self._has_harmonics:
            return np.clip(0.5 + _HARMONIC * np.stack([block[name] for name in _HARMONICS], axis=1), 0, 1)
        channels = [block[self._names[field]] for field in COLOR]
        types = [self.element.scalars[self._names[field]] for field in COLOR]
        if [each.dtype.kind for each in channels] != [each.kind for each in types]:
            names = ", ".join(dict.fromkeys(each.name for each in types))
            raise DataError(f"{self.reading.where}: a color does not fit its type ({names}); correct the header.")
        return stack_colors(channels, self.reading)


def _read_elements(
    records: PlyRecords, header: PlyHeader, vertices: _Vertices, surface: PlyElement | None
) -> Records | None:
    """Read the vertices and, if there is one, the element of faces, in the order of the file."""
    result = None
    needed = [vertices.element, *([surface] if surface else [])]
    for element in header.elements[: max(map(header.elements.index, needed)) + 1]:
        if element is vertices.element:
            vertices.read(records, with_uv=surface is not None)
        elif element is surface:
            result = records.read_lists(element)
        else:
            records.skip(element)
    return result
