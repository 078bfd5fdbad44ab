"""Points drawn from triangle meshes, uniformly by area, with the colors of their surfaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from spa3d.data.formats.contract import MOST_POINTS, Cloud, Reading
from spa3d.data.srgb import to_display, to_linear
from spa3d.errors import DataError
from spa3d.runtime.rng import keyed_generator

Wrap = Literal["repeat", "clamp", "mirror"]

WHITE = 1.0
"""Display color of a surface without color, where others have one; it is glTF's default."""
_CHUNK = 1_000_000
"""Triangles whose areas are computed at once."""
_ROUNDS = 64
"""Most times that points on transparent places are drawn again."""


@dataclass(frozen=True)
class Texture:
    """Image on a surface.

    A point has the color of the nearest texel, so that neighbors in an atlas of colors do not mix.

    Attributes:
        image: display colors, ``(H, W, 3)``, or with alpha ``(H, W, 4)``; at least one texel.
        wrap: what is outside of [0, 1] in u and in v.

    """

    image: UInt8[np.ndarray, "H W C"]
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat")

    def texels(self, uv: Float[np.ndarray, "N 2"]) -> UInt8[np.ndarray, "N C"]:
        """Nearest texels; u goes right and v goes up from the lower left corner of the image."""
        height, width = self.image.shape[:2]
        column = _texel(uv[:, 0], width, self.wrap[0])
        row = height - 1 - _texel(uv[:, 1], height, self.wrap[1])
        return self.image[row, column]


@dataclass(frozen=True)
class Surface:
    """Triangles of one material.

    Its color is the product of all that it has: texture, vertex colors, face colors and factor. With a factor they are
    multiplied and interpolated in linear light, as glTF does; vertex colors without one are interpolated as they are.

    Attributes:
        vertices: ``(V, 3)`` float64; those that no face uses may be anything.
        faces: indices of vertices, ``(F, 3)`` int64.
        vertex_colors: display colors in [0, 1], ``(V, 3)`` float32.
        face_colors: display colors in [0, 1], ``(F, 3)`` float32.
        uv: texture coordinates, ``(V, 2)``.
        texture: image on the surface; needs `uv`.
        factor: linear color, red, green, blue and alpha in [0, 1].
        cutoff: least alpha of texture times factor that is seen; points below are drawn again. None: all is seen.

    """

    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]
    vertex_colors: Float[np.ndarray, "V 3"] | None = None
    face_colors: Float[np.ndarray, "F 3"] | None = None
    uv: Float[np.ndarray, "V 2"] | None = None
    texture: Texture | None = None
    factor: tuple[float, float, float, float] | None = None
    cutoff: float | None = None

    @property
    def has_color(self) -> bool:
        """Whether anything states its color."""
        layers = (self.vertex_colors, self.face_colors, self.texture, self.factor)
        return any(layer is not None for layer in layers)


def draw_points(surfaces: Sequence[Surface], reading: Reading) -> Cloud:
    """Draw ``reading.count`` points uniformly by area over all surfaces together.

    The points are a pure function of ``reading.key`` and the mesh, in random order. Normals are those of the triangles.

    Raises:
        DataError: no faces, no area, faces of vertices that do not exist, NaN or infinity in a vertex
            or a texture coordinate that is used; the message begins with ``reading.where``.

    """
    surfaces = [each for each in surfaces if len(each.faces)]
    for surface in surfaces:
        _check(surface, reading.where)
    if not surfaces:
        raise DataError(f"{reading.where}: a mesh without faces; nothing can be drawn from it.")
    if not 1 <= reading.count <= MOST_POINTS:
        raise DataError(f"{reading.where}: {reading.count} points of a mesh; possible: 1 to {MOST_POINTS:,}.")
    drawn = _draw_visible(surfaces, reading)
    cloud = Cloud(drawn.points, drawn.colors if any(each.has_color for each in surfaces) else None, drawn.normals)
    triangles = sum(len(each.faces) for each in surfaces)
    cloud = cloud.note(f"a mesh: {reading.count:,} points drawn from {triangles:,} triangles")
    if drawn.transparent:
        cloud = cloud.note(f"{drawn.transparent:,} points lie on transparent places, as most of the mesh does")
    colorless = sum(not each.has_color for each in surfaces)
    if cloud.colors is not None and colorless:
        cloud = cloud.note(f"{colorless} of the {len(surfaces)} parts of the mesh have no color; they are white")
    return cloud


@dataclass
class _Drawn:
    """Points with what belongs to each; rows are filled as they are drawn."""

    count: int
    points: Float[np.ndarray, "N 3"] = field(init=False)
    colors: Float[np.ndarray, "N 3"] = field(init=False)
    normals: Float[np.ndarray, "N 3"] = field(init=False)
    transparent: int = 0

    def __post_init__(self) -> None:
        self.points = np.empty((self.count, 3))
        self.colors = np.empty((self.count, 3), np.float32)
        self.normals = np.empty((self.count, 3), np.float32)


def _draw_visible(surfaces: Sequence[Surface], reading: Reading) -> _Drawn:
    """Draw points, and draw those on transparent places again, at most `_ROUNDS` times."""
    cumulative = np.cumsum(
        np.concatenate(_areas(surfaces, reading.where))
    )  # in float64, one after another on any machine
    first = np.cumsum([0, *(len(each.faces) for each in surfaces)])
    generator = keyed_generator(*reading.key)
    drawn, missing = _Drawn(reading.count), np.arange(reading.count)
    for _ in range(_ROUNDS):
        sample = generator.random((len(missing), 3))
        triangle = np.searchsorted(cumulative, sample[:, 0] * cumulative[-1], side="right")
        visible = np.ones(len(missing), bool)
        for index, chosen in _group(np.searchsorted(first, triangle, side="right") - 1):
            face, rows = triangle[chosen] - first[index], missing[chosen]
            visible[chosen] = _fill(drawn, rows, surfaces[index], face, sample[chosen, 1:])
        missing = missing[~visible]
        if not len(missing):
            return drawn
    drawn.transparent = len(missing)
    return drawn


def _fill(
    drawn: _Drawn,
    rows: Int[np.ndarray, " N"],
    surface: Surface,
    face: Int[np.ndarray, " N"],
    sample: Float[np.ndarray, "N 2"],
) -> Bool[np.ndarray, " N"]:
    """Fill `rows` with points of triangles `face`; returns which of them are visible."""
    second, third = np.where((sample.sum(1) > 1)[:, None], 1 - sample, sample).T
    weights = np.stack([1 - second - third, second, third], 1)
    corners = surface.faces[face]
    a, b, c = (surface.vertices[corners[:, i]].astype(np.float64) for i in range(3))
    drawn.points[rows] = a + second[:, None] * (b - a) + third[:, None] * (c - a)
    normal = _cross(b - a, c - a, np.abs(np.concatenate([b - a, c - a])).max())
    drawn.normals[rows] = normal / np.sqrt(_squares(normal))[:, None]
    texels = None
    if surface.texture is not None and surface.uv is not None:
        texels = surface.texture.texels(_interpolate(surface.uv, corners, weights))
    drawn.colors[rows] = _color(surface, face, weights, texels)
    return _alpha(surface, texels, len(rows)) >= (surface.cutoff or 0.0)


def _color(
    surface: Surface,
    face: Int[np.ndarray, " N"],
    weights: Float[np.ndarray, "N 3"],
    texels: UInt8[np.ndarray, "N C"] | None,
) -> Float[np.ndarray, "N 3"]:
    """Display colors of points: the product of all that the surface has, white without any."""
    layers, corners = [], surface.faces[face]
    if surface.vertex_colors is not None:
        stored = surface.vertex_colors
        if surface.factor is None:
            layers.append(_interpolate(stored, corners, weights))
        else:
            layers.append(to_display(sum(weights[:, i, None] * to_linear(stored[corners[:, i]]) for i in range(3))))
    if surface.face_colors is not None:
        layers.append(surface.face_colors[face])
    if texels is not None:
        layers.append(texels[:, :3].astype(np.float32) / np.float32(255))
    if surface.factor is not None and surface.factor[:3] != (1, 1, 1):
        layers.append(np.broadcast_to(to_display(np.array(surface.factor[:3])), (len(face), 3)))
    if len(layers) < 2:
        return layers[0] if layers else np.full((len(face), 3), WHITE)
    product = to_linear(layers[0])
    for layer in layers[1:]:
        product = product * to_linear(layer)
    return to_display(product)


def _alpha(surface: Surface, texels: UInt8[np.ndarray, "N C"] | None, count: int) -> Float[np.ndarray, " N"]:
    alpha = np.full(count, 1.0 if surface.factor is None else surface.factor[3])
    return alpha if texels is None or texels.shape[1] < 4 else alpha * (texels[:, 3] / 255)


def _check(surface: Surface, where: str) -> None:
    """Raise `DataError` if vertices are missing, or NaN where a face uses them."""
    low, high = surface.faces.min(), surface.faces.max()
    if low < 0 or high >= len(surface.vertices):
        wrong = int(low if low < 0 else high)
        raise DataError(
            f"{where}: a face of vertex {wrong}, but the mesh has {len(surface.vertices)} (counted from 0); "
            "the file is damaged, export it again."
        )
    used = np.zeros(len(surface.vertices), bool)
    used[surface.faces.ravel()] = True
    invalid = used & ~(np.abs(surface.vertices) <= np.finfo(np.float32).max).all(1)  # NaN compares false
    if invalid.any():
        raise DataError(
            f"{where}: NaN or infinity in {int(invalid.sum())} of the vertices of its faces, first in vertex "
            f"{int(np.argmax(invalid))}; export the mesh again."
        )
    if surface.uv is not None and not np.isfinite(surface.uv[used]).all():
        raise DataError(f"{where}: NaN or infinity in the texture coordinates; export the mesh again.")


def _areas(surfaces: Sequence[Surface], where: str) -> list[Float[np.ndarray, " F"]]:
    """Areas of all triangles in units of the squared largest extent; raises if all are 0."""
    areas = []
    low = np.min([each.vertices[each.faces.ravel()].min(0) for each in surfaces], axis=0)
    high = np.max([each.vertices[each.faces.ravel()].max(0) for each in surfaces], axis=0)
    unit = float((high - low).max()) or 1.0
    for surface in surfaces:
        for start in range(0, len(surface.faces), _CHUNK):
            a, b, c = (surface.vertices[column].astype(np.float64) for column in surface.faces[start:][:_CHUNK].T)
            areas.append(np.sqrt(_squares(_cross(b - a, c - a, unit))))
    if not sum(float(each.sum()) for each in areas) > 0:
        raise DataError(f"{where}: all faces of the mesh have zero area; nothing can be drawn from it.")
    return areas


def _cross(b: Float[np.ndarray, "N 3"], c: Float[np.ndarray, "N 3"], unit: float) -> Float[np.ndarray, "N 3"]:
    """Cross products of edges in units of `unit`, with the same digits on any machine."""
    (bx, by, bz), (cx, cy, cz) = (b / unit).T, (c / unit).T
    return np.stack([by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx], 1)


def _squares(vectors: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " N"]:
    x, y, z = vectors.T
    return x * x + y * y + z * z


def _interpolate(
    values: Float[np.ndarray, "V C"], corners: Int[np.ndarray, "N 3"], weights: Float[np.ndarray, "N 3"]
) -> Float[np.ndarray, "N C"]:
    parts = [weights[:, i, None] * values[corners[:, i]] for i in range(3)]
    return parts[0] + parts[1] + parts[2]


def _texel(position: Float[np.ndarray, " N"], size: int, wrap: Wrap) -> Int[np.ndarray, " N"]:
    if wrap == "mirror":
        position = 1 - np.abs(np.mod(position, 2) - 1)
    elif wrap == "repeat":
        position = position - np.floor(position)
    return np.clip(np.clip(position, 0, 1) * size, 0, size - 1).astype(np.int64)


def _group(owner: Int[np.ndarray, " N"]) -> Iterator[tuple[int, Int[np.ndarray, " M"]]]:
    """Yield each value of `owner` with the indices that have it."""
    order = np.argsort(owner, kind="stable")
    values, first = np.unique(owner[order], return_index=True)
    for value, indices in zip(values, np.split(order, first[1:]), strict=True):
        yield int(value), indices
