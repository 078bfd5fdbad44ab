"""Materials of a glTF file: base color, texture and transparency of a primitive."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from spa3d.data.formats.gltf.buffers import GltfFile
from spa3d.data.formats.gltf.document import Material, TextureInfo, TextureTransform, pick
from spa3d.data.formats.mesh_sampling import Texture, Wrap
from spa3d.data.formats.pictures import decode_picture
from spa3d.data.srgb import to_linear
from spa3d.errors import DataError

_WRAPS: dict[int, Wrap] = {10497: "repeat", 33071: "clamp", 33648: "mirror"}
_LEAST_ALPHA = 0.5 / 255
"""Alpha below which a blended place is not seen at all."""
_SRGB_WRITER = "UniGLTF"
"""Program whose factors are display colors, not linear ones."""

Coordinates = Callable[[int], Float[np.ndarray, "V 2"] | None]
"""A set of texture coordinates of a primitive, by its number."""


@dataclass(frozen=True)
class Paint:
    """What a material gives to a surface; see `spa3d.data.formats.mesh_sampling.Surface`."""

    factor: tuple[float, float, float, float] | None = None
    texture: Texture | None = None
    uv: Float[np.ndarray, "V 2"] | None = None
    cutoff: float | None = None


@dataclass
class Materials:
    """Materials of a file; every picture is decoded once."""

    file: GltfFile
    _textures: dict[int, Texture] = field(default_factory=dict)

    def paint(self, index: int | None, coordinates: Coordinates) -> Paint:
        """Paint of a primitive with material `index`; without a material there is none."""
        if index is None:
            return Paint()
        material = pick(self.file.document.materials, index, "materials", self.file.where)
        color = material.color
        factor = color.base_color_factor
        if self.file.document.asset.generator.startswith(_SRGB_WRITER):
            red, green, blue = (float(value) for value in to_linear(np.array(factor[:3])))
            factor = (red, green, blue, factor[3])
            self.file.note(f"written by {_SRGB_WRITER}, whose factors are display colors; they were read as such")
        cutoff = _choose_cutoff(material)
        if color.base_color_texture is None:
            return Paint(factor, cutoff=cutoff)
        uv = _transform(color.base_color_texture, coordinates)
        if uv is None:
            self.file.note("parts with a texture have no texture coordinates; they have the color of their material")
            return Paint(factor, cutoff=cutoff)
        return Paint(factor, self._texture(color.base_color_texture.index), uv, cutoff)

    def _texture(self, index: int) -> Texture:
        if index not in self._textures:
            document, where = self.file.document, self.file.where
            texture = pick(document.textures, index, "textures", where)
            source = texture.source if texture.extensions.webp is None else texture.extensions.webp.source
            if source is None:
                raise DataError(f"{where}: texture {index} has no picture that can be read; save it as PNG or JPEG.")
            image = pick(document.images, source, "images", where)
            if image.buffer_view is not None:
                data = self.file.view(image.buffer_view)
            elif image.uri is not None:
                data = memoryview(self.file.read_uri(image.uri, f"texture {index}"))
            else:
                raise self.file.make_error(f"image {source} has neither a URI nor a buffer view")
            picture = decode_picture(data, f"{where}, texture {index}")
            wraps: tuple[Wrap, Wrap] = ("repeat", "repeat")
            if texture.sampler is not None:
                sampler = pick(document.samplers, texture.sampler, "samplers", where)
                wraps = (_WRAPS.get(sampler.wrap_s, "repeat"), _WRAPS.get(sampler.wrap_t, "repeat"))
            self._textures[index] = Texture(picture, wraps)
        return self._textures[index]


def _choose_cutoff(material: Material) -> float | None:
    """Least visible alpha: as stated for cutouts, none but 0 is invisible for blended materials."""
    if material.alpha_mode == "MASK":
        return material.alpha_cutoff
    return _LEAST_ALPHA if material.alpha_mode == "BLEND" else None


def _transform(info: TextureInfo, coordinates: Coordinates) -> Float[np.ndarray, "V 2"] | None:
    """Texture coordinates with v up, after KHR_texture_transform."""
    transform = info.extensions.transform or TextureTransform()
    uv = coordinates(info.tex_coord if transform.tex_coord is None else transform.tex_coord)
    if uv is None:
        return None
    (u, v), (wide, high), (right, down) = uv.T, transform.scale, transform.offset
    cosine, sine = math.cos(transform.rotation), math.sin(transform.rotation)
    turned_u = right + cosine * wide * u + sine * high * v
    turned_v = down - sine * wide * u + cosine * high * v
    return np.stack([turned_u, 1 - turned_v], 1)
