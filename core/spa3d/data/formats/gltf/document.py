"""JSON of a glTF 2.0 file, as far as the shape and the base color of its meshes need it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from spa3d.errors import DataError

Item = TypeVar("Item")
Index = Annotated[int, Field(ge=0, lt=2**31)]
Size = Annotated[int, Field(ge=0, lt=2**40)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Pair = tuple[Number, Number]
Triple = tuple[Number, Number, Number]

IGNORED = (
    "KHR_lights_punctual",
    "KHR_materials_",
    "KHR_animation_pointer",
    "KHR_xmp",
    "EXT_lights_",
    "EXT_texture_webp",
    "KHR_draco_mesh_compression",
    "KHR_mesh_quantization",
    "KHR_texture_transform",
)
"""Beginnings of extensions that are read, or that change neither the shape nor the base color."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class Asset(_Part):
    """Version and origin of the file."""

    version: str
    generator: str = ""


class Buffer(_Part):
    """A block of bytes: the GLB's own without a URI."""

    uri: str | None = None
    byte_length: Size


class BufferView(_Part):
    """A part of a buffer."""

    buffer: Index
    byte_offset: Size = 0
    byte_length: Size
    byte_stride: Annotated[int, Field(ge=1, le=252)] | None = None


class Slice(_Part):
    """Where the indices or the values of a sparse accessor lie."""

    buffer_view: Index
    byte_offset: Size = 0
    component_type: int | None = None


class Sparse(_Part):
    """Values that replace some of an accessor's."""

    count: Size
    indices: Slice
    values: Slice


class Accessor(_Part):
    """A typed array in a buffer view."""

    buffer_view: Index | None = None
    byte_offset: Size = 0
    component_type: Literal[5120, 5121, 5122, 5123, 5125, 5126]
    normalized: bool = False
    count: Size
    type: Literal["SCALAR", "VEC2", "VEC3", "VEC4", "MAT2", "MAT3", "MAT4"]
    sparse: Sparse | None = None


class Image(_Part):
    """An encoded picture, in a buffer view or at a URI."""

    uri: str | None = None
    buffer_view: Index | None = None


class Sampler(_Part):
    """How a texture continues outside of [0, 1]."""

    wrap_s: int = 10497
    wrap_t: int = 10497


class _Source(_Part):
    source: Index


class _TextureExtensions(_Part):
    webp: _Source | None = Field(None, alias="EXT_texture_webp")


class Texture(_Part):
    """An image with a sampler."""

    source: Index | None = None
    sampler: Index | None = None
    extensions: _TextureExtensions = _TextureExtensions()


class TextureTransform(_Part):
    """Scale, then rotation, then offset of texture coordinates."""

    offset: Pair = (0, 0)
    rotation: Number = 0
    scale: Pair = (1, 1)
    tex_coord: Index | None = None


class _TextureInfoExtensions(_Part):
    transform: TextureTransform | None = Field(None, alias="KHR_texture_transform")


class TextureInfo(_Part):
    """Use of a texture by a material."""

    index: Index
    tex_coord: Index = 0
    extensions: _TextureInfoExtensions = _TextureInfoExtensions()


class BaseColor(_Part):
    """Base color of a metallic-roughness material."""

    base_color_factor: tuple[Share, Share, Share, Share] = (1, 1, 1, 1)
    base_color_texture: TextureInfo | None = None


class _SpecularGlossiness(_Part):
    diffuse_factor: tuple[Share, Share, Share, Share] = (1, 1, 1, 1)
    diffuse_texture: TextureInfo | None = None


class _MaterialExtensions(_Part):
    gloss: _SpecularGlossiness | None = Field(None, alias="KHR_materials_pbrSpecularGlossiness")


class Material(_Part):
    """Base color and transparency."""

    pbr_metallic_roughness: BaseColor = BaseColor()
    alpha_mode: Literal["OPAQUE", "MASK", "BLEND"] = "OPAQUE"
    alpha_cutoff: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.5
    extensions: _MaterialExtensions = _MaterialExtensions()

    @property
    def color(self) -> BaseColor:
        """Base color, or the diffuse color of a specular-glossiness material."""
        gloss = self.extensions.gloss
        if gloss is None:
            return self.pbr_metallic_roughness
        return BaseColor(baseColorFactor=gloss.diffuse_factor, baseColorTexture=gloss.diffuse_texture)


class Draco(_Part):
    """A compressed primitive: a buffer view, and the Draco id of each attribute."""

    buffer_view: Index
    attributes: dict[str, int]


class _PrimitiveExtensions(_Part):
    draco: Draco | None = Field(None, alias="KHR_draco_mesh_compression")


class Primitive(_Part):
    """Triangles, lines or points of one material."""

    attributes: dict[str, Index]
    indices: Index | None = None
    material: Index | None = None
    mode: Annotated[int, Field(ge=0, le=6)] = 4
    extensions: _PrimitiveExtensions = _PrimitiveExtensions()


class Mesh(_Part):
    """Primitives that belong together."""

    primitives: list[Primitive]
    weights: list[Number] = []


class Node(_Part):
    """A place in the scene, and what is there."""

    children: list[Index] = []
    mesh: Index | None = None
    skin: Index | None = None
    matrix: Annotated[list[Number], Field(min_length=16, max_length=16)] | None = None
    translation: Triple = (0, 0, 0)
    rotation: tuple[Number, Number, Number, Number] = (0, 0, 0, 1)
    scale: Triple = (1, 1, 1)
    weights: list[Number] = []
    extensions: dict[str, Any] = {}


class Skin(_Part):
    """Joints that move a mesh."""

    joints: list[Index]
    inverse_bind_matrices: Index | None = None


class Scene(_Part):
    """Roots of a scene."""

    nodes: list[Index] = []


class Document(_Part):
    """The whole JSON."""

    asset: Asset
    accessors: list[Accessor] = []
    buffer_views: list[BufferView] = []
    buffers: list[Buffer] = []
    images: list[Image] = []
    materials: list[Material] = []
    meshes: list[Mesh] = []
    nodes: list[Node] = []
    samplers: list[Sampler] = []
    scene: Index | None = None
    scenes: list[Scene] = []
    skins: list[Skin] = []
    textures: list[Texture] = []
    extensions_used: list[str] = []
    extensions_required: list[str] = []


def parse_document(text: bytes, where: str) -> Document:
    """Parse the JSON of a file; raises `DataError` with the first fault."""
    try:
        document = Document.model_validate_json(text.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        location = ".".join(map(str, first["loc"]))
        what = f"{location}: {first['msg']}" if location else first["msg"]
        raise DataError(f"{where}: not valid glTF 2.0 JSON ({what}); export it again.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not valid glTF 2.0 JSON ({error}); export it again.") from error
    if document.asset.version.partition(".")[0] != "2":
        raise DataError(f"{where}: glTF {document.asset.version}; convert it to glTF 2.0 first.")
    for name in document.extensions_required:
        if not name.startswith(IGNORED):
            raise DataError(
                f"{where}: it needs the glTF extension {name}, which is not read; save it without that extension "
                "(for example with: gltf-transform copy)."
            )
    return document


def pick(items: Sequence[Item], index: int, what: str, where: str) -> Item:
    """The item at `index`; raises `DataError` about `what`, in plural, if there is none."""
    if index < len(items):
        return items[index]
    raise DataError(
        f"{where}: it refers to number {index} of {len(items)} {what}; the file is damaged, export it again."
    )
