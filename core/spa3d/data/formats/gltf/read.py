"""Reader of glTF 2.0 files, text and binary: points drawn from the meshes of a scene.

It reads the files itself. Other readers merge vertices, drop vertex colors beside textures, and take no notice of
sparse accessors, texture transforms and other texture coordinates than the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from spa3d.data.formats.contract import MOST_POINTS, Cloud, CloudFormat, Reading
from spa3d.data.formats.gltf.buffers import GltfFile, open_gltf
from spa3d.data.formats.gltf.document import Node, Primitive, pick
from spa3d.data.formats.gltf.geometry import FAN, POINTS, TRIANGLES, Geometry
from spa3d.data.formats.gltf.materials import Materials, Paint
from spa3d.data.formats.gltf.nodes import find_matrices, find_shown, move
from spa3d.data.formats.gltf.skins import Skinning
from spa3d.data.formats.mesh_sampling import Surface, draw_points
from spa3d.data.srgb import to_display, to_linear
from spa3d.errors import DataError

Matrix = Float[np.ndarray, "4 4"]
WHITE = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class _Shape:
    """A primitive at its place, before it is moved there."""

    primitive: Primitive
    node: Node
    matrix: Matrix


def _read_cloud(path: Path, reading: Reading) -> Cloud:
    file = open_gltf(path, reading.where)
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused where points are drawn
        shapes = list(_find_shapes(file))
        meshes = [each for each in shapes if TRIANGLES <= each.primitive.mode <= FAN]
        scattered = [each for each in shapes if each.primitive.mode == POINTS]
        if len(meshes) + len(scattered) < len(shapes):
            file.note("lines are left out")
        _refuse_many(file, shapes)
        if scattered and not meshes:
            cloud = _join_points(file, scattered)
        else:
            if scattered:
                file.note("points beside the mesh are left out")
            surfaces = _read_surfaces(file, meshes)
            cloud = draw_points(surfaces, reading)
    if all(each.node.skin is None and np.array_equal(each.matrix, np.eye(4)) for each in shapes):
        cloud = replace(cloud, precision=np.dtype(np.float32))
    return cloud.note(*file.notes)


FORMAT = CloudFormat(
    "glTF",
    (".glb", ".gltf"),
    _read_cloud,
    "meshes of the scene with base colors, textures and vertex colors, skins at rest; Draco with the extra; points",
)


def _find_shapes(file: GltfFile) -> Iterator[_Shape]:
    """Primitives that the scene shows; those of a file without nodes are shown as they are."""
    document = file.document
    matrices = find_matrices(file)
    nodes = [(document.nodes[index], matrices[index]) for index in find_shown(file)]
    if not document.nodes:
        nodes = [(Node(mesh=index), np.eye(4)) for index in range(len(document.meshes))]
    for node, matrix in nodes:
        if node.mesh is not None:
            mesh = pick(document.meshes, node.mesh, "meshes", file.where)
            if any(node.weights or mesh.weights):
                file.note("morph targets are left out: the mesh has its base shape")
            yield from (_Shape(primitive, node, matrix) for primitive in mesh.primitives)


def _refuse_many(file: GltfFile, shapes: list[_Shape]) -> None:
    """Raise `DataError` if the scene, with all copies of its meshes, has too many corners."""
    total = 0
    for each in shapes:
        stated = (each.primitive.attributes.get("POSITION"), each.primitive.indices)
        total += sum(
            pick(file.document.accessors, index, "accessors", file.where).count for index in stated if index is not None
        )
    if total > MOST_POINTS:
        raise DataError(f"{file.where}: {total:,} corners of triangles; simplify the mesh to {MOST_POINTS:,}.")


def _read_surfaces(file: GltfFile, shapes: list[_Shape]) -> list[Surface]:
    """Surfaces of the shapes, moved to their places."""
    materials, skinning = Materials(file), Skinning(file)
    local: dict[int, tuple[Geometry, Surface]] = {}
    surfaces = []
    for each in shapes:
        key = id(each.primitive)
        if key not in local:
            geometry = Geometry(file, each.primitive)
            local[key] = geometry, _read_surface(geometry, materials)
        geometry, surface = local[key]
        vertices, faces = surface.vertices, surface.faces
        if each.node.skin is None:
            vertices = move(vertices, each.matrix)
            mirrored = np.linalg.det(each.matrix[:3, :3]) < 0
        else:
            vertices, mirrored = skinning.move(each.node.skin, geometry, vertices), False
        surfaces.append(replace(surface, vertices=vertices, faces=faces[:, ::-1] if mirrored else faces))
    shown = [each for each in surfaces if each.has_color]
    if shown and all(each.factor and each.factor[:3] == WHITE[:3] and _is_plain(each) for each in shown):
        file.note("all materials are plain white; the file may have lost its colors")
    return surfaces


def _is_plain(surface: Surface) -> bool:
    return surface.texture is None and surface.vertex_colors is None


def _read_surface(geometry: Geometry, materials: Materials) -> Surface:
    """Surface of a primitive in its node."""
    paint = materials.paint(geometry.primitive.material, lambda number: _coordinates(geometry, number))
    colors = _vertex_colors(geometry)
    factor = WHITE if paint.factor is None and colors is not None else paint.factor
    return Surface(
        geometry.vertices(),
        geometry.faces(),
        vertex_colors=colors,
        uv=paint.uv,
        texture=paint.texture,
        factor=factor,
        cutoff=paint.cutoff,
    )


def _coordinates(geometry: Geometry, number: int) -> Float[np.ndarray, "V 2"] | None:
    return geometry.attribute(f"TEXCOORD_{number}", (2,))


def _vertex_colors(geometry: Geometry) -> Float[np.ndarray, "V 3"] | None:
    """Display colors of the vertices, which a file has in linear light; alpha is left out."""
    linear = geometry.attribute("COLOR_0", (3, 4), share=True)
    if linear is None:
        return None
    if linear[:, :3].max(initial=0) > 1:
        geometry.file.note("vertex colors above 1 are taken as 1")
    return to_display(np.nan_to_num(linear[:, :3]))


def _join_points(file: GltfFile, shapes: list[_Shape]) -> Cloud:
    """All points of a file without triangles."""
    points, colors, materials = [], [], Materials(file)
    for each in shapes:
        geometry = Geometry(file, each.primitive)
        chosen = geometry.indices()
        vertices = geometry.vertices()
        if len(chosen) and chosen.max() >= len(vertices):
            raise file.make_error(f"a point of vertex {chosen.max()}, but there are {len(vertices)}")
        points.append(move(vertices[chosen], each.matrix))
        paint = materials.paint(each.primitive.material, lambda _: None)
        colors.append(_point_colors(_vertex_colors(geometry), paint, chosen))
    if all(each is None for each in colors):
        return Cloud(np.concatenate(points))
    filled = [np.ones((len(p), 3), np.float32) if c is None else c for p, c in zip(points, colors, strict=True)]
    return Cloud(np.concatenate(points), np.concatenate(filled))


def _point_colors(
    colors: Float[np.ndarray, "V 3"] | None, paint: Paint, chosen: np.ndarray
) -> Float[np.ndarray, "N 3"] | None:
    if colors is None or paint.factor is None:
        if paint.factor is not None:
            return np.broadcast_to(to_display(np.array(paint.factor[:3])), (len(chosen), 3))
        return None if colors is None else colors[chosen]
    return to_display(to_linear(colors[chosen]) * paint.factor[:3])
