from __future__ import annotations

import base64
import io
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spa3d.data.formats.contract import Cloud
from spa3d.data.formats.read import read_cloud
from spa3d.errors import DataError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def picture(kind: str = "PNG") -> bytes:
    """Red and green above, blue and white below; eight pixels each way."""
    image = Image.new("RGB", (8, 8))
    for x in range(8):
        for y in range(8):
            image.putpixel((x, y), [[RED, GREEN], [BLUE, WHITE]][y // 4][x // 4])
    stream = io.BytesIO()
    image.save(stream, kind, **({"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}))
    return stream.getvalue()


def corner_colors(cloud: Cloud) -> list[list[int]]:
    """Colors, as bytes, of the points at the corners: upper left, upper right, and below."""
    assert cloud.colors is not None
    low, high = cloud.points.min(0), cloud.points.max(0)
    result = []
    for u, v in ((0.1, 0.9), (0.9, 0.9), (0.1, 0.1), (0.9, 0.1)):
        position = low + (high - low) * (u, v, 0)
        result.append(cloud.colors[np.square(cloud.points - position).sum(1).argmin()])
    return np.round(np.array(result) * 255).astype(int).tolist()


def extent(cloud: Cloud) -> list[float]:
    return [*cloud.points.min(0).round(1).tolist(), *cloud.points.max(0).round(1).tolist()]


@pytest.mark.parametrize("name", ["square.glb", "square.gltf"])
def test_read_cloud_without_material_has_no_colors(square: Any, tmp_path: Path, name: str) -> None:
    cloud = read_cloud(square.write(tmp_path / name))
    assert len(cloud) == 8192
    assert extent(cloud) == [0, 0, 0, 1, 1, 0]
    assert (cloud.normals == [0, 0, 1]).all()
    assert cloud.colors is None
    assert cloud.precision == np.float32


def test_read_cloud_equals_for_glb_gltf_and_external_buffer(square: Any, tmp_path: Path) -> None:
    (tmp_path / "a b.bin").write_bytes(square.data)
    first = read_cloud(square.write(tmp_path / "square.glb"))
    square.tree["buffers"] = [{"byteLength": len(square.data), "uri": "a%20b.bin"}]
    assert (read_cloud(square.write(tmp_path / "square.gltf")).points == first.points).all()


def test_read_cloud_converts_linear_factors_to_display_colors(square: Any, tmp_path: Path) -> None:
    square.paint(pbrMetallicRoughness={"baseColorFactor": [0.5, 0.2140, 0, 1]})
    cloud = read_cloud(square.write(tmp_path / "square.glb"))
    assert np.allclose(cloud.colors, [0.7354, 0.5, 0], atol=1e-3)
    square.tree["asset"]["generator"] = "UniGLTF-1.27"
    cloud = read_cloud(square.write(tmp_path / "square.glb"))
    assert np.allclose(cloud.colors, [0.5, 0.2140, 0], atol=1e-4)
    assert "UniGLTF" in cloud.notes[1]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_read_cloud_samples_textures_from_the_upper_left(
    with_texture: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    colors = corner_colors(read_cloud(with_texture(picture(kind)).write(tmp_path / "square.glb")))
    assert np.abs(np.array(colors) - [RED, GREEN, BLUE, WHITE]).max() <= (2 if kind == "JPEG" else 0)


def test_read_cloud_reads_the_webp_extension_and_data_uris(with_texture: Callable[..., Any], tmp_path: Path) -> None:
    builder = with_texture(picture(), texture={"extensions": {"EXT_texture_webp": {"source": 1}}})
    uri = "data:image/webp;base64," + base64.b64encode(picture("WEBP")).decode()
    builder.tree["images"] = [{"uri": "missing.png"}, {"uri": uri}]
    assert corner_colors(read_cloud(builder.write(tmp_path / "square.glb")))[0] == [*RED]


def test_read_cloud_multiplies_texture_factor_and_vertex_colors(
    with_texture: Callable[..., Any], tmp_path: Path
) -> None:
    builder = with_texture(picture())
    builder.tree["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] = [1, 0.5, 0.5, 1]
    half = np.tile(np.array([0.5, 1, 0.5], np.float32), (4, 1))
    builder.primitive["attributes"]["COLOR_0"] = builder.accessor(half)
    upper_left, upper_right, lower_left, lower_right = corner_colors(read_cloud(builder.write(tmp_path / "square.glb")))
    assert upper_left == [188, 0, 0]  # 0.5 is 188 of 255 for display
    assert upper_right == [0, 188, 0]
    assert lower_left == [0, 0, 137]  # and 0.25 is 137
    assert lower_right == [188, 188, 137]


@pytest.mark.parametrize(
    ("values", "normalized"),
    [
        (np.array([[0.5, 0, 1]] * 4, np.float32), False),
        (np.array([[128, 0, 255, 9]] * 4, np.uint8), True),
        (np.array([[32768, 0, 65535, 9]] * 4, np.uint16), True),
        (np.array([[128, 0, 255, 9]] * 4, np.uint8), False),
    ],
)
def test_read_cloud_reads_vertex_colors_of_all_types(
    square: Any, tmp_path: Path, values: np.ndarray, normalized: bool
) -> None:
    square.primitive["attributes"]["COLOR_0"] = square.accessor(values, normalized=normalized)
    cloud = read_cloud(square.write(tmp_path / "square.glb"))
    assert np.allclose(cloud.colors, [0.736, 0, 1], atol=2e-3)


@pytest.mark.parametrize(
    ("transform", "upper_left"),
    [
        ({"offset": [0.5, 0]}, GREEN),
        ({"scale": [1, 0.4], "offset": [0, 0.55]}, BLUE),
        ({"rotation": math.pi / 2, "offset": [0, 1]}, BLUE),  # u to the right becomes v up
        ({"texCoord": 1}, WHITE),
    ],
)
def test_read_cloud_transforms_texture_coordinates(
    with_texture: Callable[..., Any], tmp_path: Path, transform: dict[str, Any], upper_left: tuple[int, ...]
) -> None:
    builder = with_texture(picture(), info={"extensions": {"KHR_texture_transform": transform}})
    builder.primitive["attributes"]["TEXCOORD_1"] = builder.accessor(np.full((4, 2), 0.9, np.float32))
    assert corner_colors(read_cloud(builder.write(tmp_path / "square.glb")))[0] == [*upper_left]


def test_read_cloud_reads_quantized_positions_and_coordinates(with_texture: Callable[..., Any], tmp_path: Path) -> None:
    builder = with_texture(picture())
    attributes = builder.primitive["attributes"]
    positions = np.array([[0, 0, 0], [127, 0, 0], [127, 127, 0], [0, 127, 0]], np.int8)
    attributes["POSITION"] = builder.accessor(positions, normalized=True)
    corners = np.array([[0, 65535], [65535, 65535], [65535, 0], [0, 0]], np.uint16)
    attributes["TEXCOORD_0"] = builder.accessor(corners, normalized=True)
    builder.tree["extensionsRequired"] = ["KHR_mesh_quantization"]
    cloud = read_cloud(builder.write(tmp_path / "square.glb"))
    assert extent(cloud) == [0, 0, 0, 1, 1, 0]
    assert corner_colors(cloud) == [[*RED], [*GREEN], [*BLUE], [*WHITE]]


def test_read_cloud_reads_sparse_and_interleaved_accessors(square: Any, tmp_path: Path) -> None:
    index, values = (
        square.view(np.array([2, 3], np.uint8).tobytes()),
        square.view(np.array([[1, 5, 0], [0, 5, 0]], "f4").tobytes()),
    )
    sparse = {"count": 2, "indices": {"bufferView": index, "componentType": 5121}, "values": {"bufferView": values}}
    square.tree["accessors"][0]["sparse"] = sparse
    assert extent(read_cloud(square.write(tmp_path / "sparse.glb"))) == [0, 0, 0, 1, 5, 0]
    rows = np.zeros((4, 6), np.float32)
    rows[:, 2:5] = np.array([[0, 0, 0], [3, 0, 0], [3, 3, 0], [0, 3, 0]])
    view = square.view(rows.tobytes())
    square.tree["bufferViews"][view]["byteStride"] = 24
    square.tree["accessors"][0] = {
        "bufferView": view,
        "byteOffset": 8,
        "componentType": 5126,
        "count": 4,
        "type": "VEC3",
    }
    assert extent(read_cloud(square.write(tmp_path / "strided.glb"))) == [0, 0, 0, 3, 3, 0]


def test_read_cloud_applies_nested_nodes(square: Any, tmp_path: Path) -> None:
    turn = [0, 0, math.sin(math.pi / 4), math.cos(math.pi / 4)]  # 90 degrees about z
    square.tree["nodes"] = [
        {"children": [1], "translation": [10, 0, 0], "rotation": turn},
        {"children": [2], "scale": [2, 1, 1]},
        {"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 7, 1]},
    ]
    cloud = read_cloud(square.write(tmp_path / "square.glb"))
    assert extent(cloud) == [9, 0, 7, 10, 2, 7]
    assert cloud.precision == np.float64


def test_read_cloud_keeps_normals_outside_of_mirrored_nodes(square: Any, tmp_path: Path) -> None:
    square.tree["nodes"] = [{"mesh": 0, "scale": [-1, 1, 1]}]
    cloud = read_cloud(square.write(tmp_path / "square.glb"))
    assert extent(cloud) == [-1, 0, 0, 0, 1, 0]
    assert (cloud.normals == [0, 0, 1]).all()


def test_read_cloud_reads_the_stated_scene_only(square: Any, tmp_path: Path) -> None:
    square.tree |= {
        "nodes": [{"mesh": 0}, {"mesh": 0, "translation": [5, 0, 0]}, {"mesh": 0, "translation": [50, 0, 0]}],
        "scenes": [{"nodes": [0]}, {"nodes": [1]}],
        "scene": 1,
    }
    cloud = read_cloud(square.write(tmp_path / "square.glb"))
    assert extent(cloud) == [5, 0, 0, 6, 1, 0]
    assert "scene 1 of the 2 scenes was read" in cloud.notes


@pytest.mark.parametrize(
    ("mode", "indices"), [(5, [0, 1, 3, 2]), (6, [0, 1, 2, 3]), (4, [0, 1, 2, 0, 2, 3]), (4, [0, 1, 2, 2, 3, 0, 1])]
)
def test_read_cloud_reads_strips_and_fans(square: Any, tmp_path: Path, mode: int, indices: list[int]) -> None:
    square.primitive["mode"] = mode
    square.primitive["indices"] = square.accessor(np.array(indices, np.uint8))
    cloud = read_cloud(square.write(tmp_path / "square.glb"))
    assert np.allclose(cloud.points.mean(0), [0.5, 0.5, 0], atol=0.02)
    assert (cloud.normals == [0, 0, 1]).all()


def test_read_cloud_places_a_skin_by_its_joints(square: Any, tmp_path: Path) -> None:
    inverse = np.tile(np.eye(4, dtype=np.float32).ravel(), (2, 1))
    inverse[:, 12] = -1  # both joints were bound at x = 1
    square.primitive["attributes"] |= {
        "JOINTS_0": square.accessor(np.array([[0, 1, 0, 0]] * 4, np.uint8)),
        "WEIGHTS_0": square.accessor(np.array([[0.5, 0.5, 0, 0]] * 4, np.float32)),
    }
    square.tree |= {
        "nodes": [
            {"mesh": 0, "skin": 0, "translation": [99, 99, 99]},
            {"translation": [5, 0, 0], "children": [2]},
            {"translation": [0, 2, 0]},
        ],
        "scenes": [{"nodes": [0, 1]}],
        "skins": [{"joints": [1, 2], "inverseBindMatrices": square.accessor(inverse)}],
    }
    assert extent(read_cloud(square.write(tmp_path / "skin.glb"))) == [4, 1, 0, 5, 2, 0]


def test_read_cloud_reads_diffuse_colors_of_specular_glossiness(square: Any, tmp_path: Path) -> None:
    square.paint(extensions={"KHR_materials_pbrSpecularGlossiness": {"diffuseFactor": [1, 0, 0, 1]}})
    assert (read_cloud(square.write(tmp_path / "square.glb")).colors == [1, 0, 0]).all()


@pytest.mark.parametrize(("mode", "left"), [("MASK", 0.5), ("BLEND", 0.75), ("OPAQUE", 1.0)])
def test_read_cloud_leaves_out_what_alpha_hides(
    with_texture: Callable[..., Any], tmp_path: Path, mode: str, left: float
) -> None:
    image = Image.new("RGBA", (4, 1), (255, 255, 255, 255))
    image.putpixel((2, 0), (255, 0, 0, 100))
    image.putpixel((3, 0), (0, 0, 255, 0))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    builder = with_texture(stream.getvalue())
    builder.tree["materials"][0]["alphaMode"] = mode
    assert read_cloud(builder.write(tmp_path / "square.glb")).points[:, 0].max() == pytest.approx(left, abs=0.01)


def test_read_cloud_reads_points_where_there_are_no_triangles(square: Any, tmp_path: Path) -> None:
    square.primitive["mode"] = 0
    del square.primitive["indices"]
    square.primitive["attributes"]["COLOR_0"] = square.accessor(np.array([[255, 0, 0]] * 4, np.uint8), normalized=True)
    square.tree["nodes"][0]["translation"] = [1, 0, 0]
    cloud = read_cloud(square.write(tmp_path / "points.glb"))
    assert cloud.points.tolist() == [[1, 0, 0], [2, 0, 0], [2, 1, 0], [1, 1, 0]]
    assert (cloud.colors == [1, 0, 0]).all()


def test_read_cloud_decodes_draco(square: Any, tmp_path: Path) -> None:
    draco = pytest.importorskip("DracoPy")
    data = draco.encode(
        np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]], "f4"), np.array([[0, 1, 2], [0, 2, 3]], "u4")
    )
    for accessor in square.tree["accessors"]:
        del accessor["bufferView"]
    extension = {"bufferView": square.view(data), "attributes": {"POSITION": 0}}
    square.primitive["extensions"] = {"KHR_draco_mesh_compression": extension}
    square.tree["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    assert extent(read_cloud(square.write(tmp_path / "draco.glb"))) == [0, 0, 0, 2, 2, 0]
    start = square.tree["bufferViews"][extension["bufferView"]]["byteOffset"]
    square.data[start + 20 : start + 40] = b"\xff" * 20
    with pytest.raises(DataError, match="Draco data cannot be decoded"):
        read_cloud(square.write(tmp_path / "draco.glb"))


def test_read_cloud_says_that_all_is_white(square: Any, tmp_path: Path) -> None:
    square.paint(name="default")
    cloud = read_cloud(square.write(tmp_path / "square.glb"))
    assert (cloud.colors == 1).all()
    assert "all materials are plain white; the file may have lost its colors" in cloud.notes


def change(**parts: Any) -> Callable[[Any], None]:
    return lambda square: square.tree.update(parts)


def change_accessor(number: int, **fields: Any) -> Callable[[Any], None]:
    return lambda square: square.tree["accessors"][number].update(fields)


def change_view(**fields: Any) -> Callable[[Any], None]:
    return lambda square: square.tree["bufferViews"][0].update(fields)


def name_texture(uri: str) -> Callable[[Any], None]:
    def edit(square: Any) -> None:
        square.primitive["attributes"]["TEXCOORD_0"] = square.accessor(np.zeros((4, 2), np.float32))
        square.tree |= {"images": [{"uri": uri}], "textures": [{"source": 0}]}
        square.paint(pbrMetallicRoughness={"baseColorTexture": {"index": 0}})

    return edit


BAD = {
    "no-meshes": (change(meshes=[], nodes=[], scenes=[]), "a mesh without faces"),
    "no-faces": (change_accessor(1, count=0), "a mesh without faces"),
    "version-1": (change(asset={"version": "1.0"}), "glTF 1.0; convert it"),
    "circle": (change(nodes=[{"children": [1], "mesh": 0}, {"children": [0]}]), "circle of nodes"),
    "two-parents": (change(nodes=[{"children": [2]}, {"children": [2]}, {"mesh": 0}]), "two parents"),
    "node-twice": (change(scenes=[{"nodes": [0, 0]}]), "twice in its scene"),
    "no-node": (change(scenes=[{"nodes": [7]}]), "number 7 of 1 nodes"),
    "no-mesh": (change(nodes=[{"mesh": 3}]), "number 3 of 1 meshes"),
    "negative": (change(nodes=[{"mesh": -1}]), "nodes.0.mesh: Input should be greater"),
    "type": (change_accessor(0, type="VEC9"), "accessors.0.type"),
    "component": (change_accessor(0, componentType=1), "accessors.0.componentType"),
    "huge": (change_accessor(0, count=10**12), "1,000,000,000,006 corners of triangles"),
    "large": (change_accessor(0, count=10**9), "1,000,000,006 corners of triangles"),
    "beyond": (change_accessor(0, count=5), "ends at byte 60 of a buffer view of 48"),
    "offset": (change_accessor(0, byteOffset=40), "ends at byte 88"),
    "view-beyond": (change_view(byteLength=999), "ends at byte 999 of a buffer of 60"),
    "view-offset": (change_view(byteOffset=2**33), "buffer view 0 ends"),
    "stride": (change_view(byteStride=1), "ends at byte"),
    "no-values": (lambda square: square.tree["accessors"][0].pop("bufferView"), "accessor 0 has no values"),
    "float-indices": (change_accessor(1, componentType=5126, count=3), "no whole numbers"),
    "index-beyond": (lambda square: square.data.__setitem__(slice(48, 50), b"\x09\x00"), "a face of vertex 9"),
    "nan": (lambda square: square.data.__setitem__(slice(0, 4), struct.pack("<f", math.nan)), "NaN or infinity in 1"),
    "flat": (change(nodes=[{"mesh": 0, "scale": [0, 1, 0]}]), "zero area"),
    "far": (change(nodes=[{"mesh": 0, "scale": [1e308, 1, 1]}]), "NaN or infinity"),
    "no-turn": (change(nodes=[{"mesh": 0, "rotation": [0, 0, 0, 0]}]), "rotation 0 0 0 0"),
    "no-positions": (lambda square: square.primitive["attributes"].clear(), "without positions"),
    "extension": (change(extensionsRequired=["EXT_meshopt_compression"]), "glTF extension EXT_meshopt_compression"),
    "texture-missing": (name_texture("wood.png"), "texture 0: 'wood.png' cannot be read: no such file; copy it"),
    "texture-above": (name_texture("../wood.png"), "leaves the folder"),
    "texture-encoded": (name_texture("%2e%2e/wood.png"), "leaves the folder"),
    "texture-absolute": (name_texture("/etc/passwd"), "leaves the folder"),
    "texture-drive": (name_texture("C:\\wood.png"), "leaves the folder"),
    "texture-http": (name_texture("https://example.org/wood.png"), "is an address; nothing is downloaded"),
    "texture-link": (name_texture("link.png"), "is a link that leaves the folder"),
    "texture-nul": (name_texture("a%00b.png"), "cannot be read"),
    "texture-text": (name_texture("data:image/png;base64,aGVsbG8="), "no picture of a known format"),
    "texture-base64": (name_texture("data:image/png;base64,!!!"), "base64 text cannot be decoded"),
    "texture-comma": (name_texture("data:image/png"), "without a comma"),
    "texture-none": (lambda square: (name_texture("a.png")(square), change(images=[])(square)), "number 0 of 0 images"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_read_cloud_refuses(square: Any, tmp_path: Path, name: str) -> None:
    edit, message = BAD[name]
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "wood.png").write_bytes(picture())
    (inside / "link.png").symlink_to(tmp_path / "wood.png")
    edit(square)
    with pytest.raises(DataError) as caught:
        read_cloud(square.write(inside / "bad.glb"))
    assert str(caught.value).startswith(f"{inside / 'bad.glb'}")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("buffer", "message"),
    [
        ({"uri": "gone.bin", "byteLength": 60}, "buffer 0: 'gone.bin' cannot be read: no such file"),
        ({"uri": "data:;base64,AAAA", "byteLength": 60}, "buffer 0 has 3 of 60 bytes"),
        ({"uri": "data:;base64,A", "byteLength": 60}, "base64 text cannot be decoded"),
        ({"byteLength": 60}, "buffer 0 is not in the file"),
    ],
)
def test_read_cloud_refuses_buffers(square: Any, tmp_path: Path, buffer: dict[str, Any], message: str) -> None:
    square.tree["buffers"] = [buffer]
    with pytest.raises(DataError, match=message):
        read_cloud(square.write(tmp_path / "bad.gltf"))


def test_read_cloud_refuses_copies_without_end(square: Any, tmp_path: Path) -> None:
    accessor = square.accessor(np.zeros(200_000, np.uint8))
    square.primitive["indices"] = accessor
    square.tree |= {"nodes": [{"mesh": 0}] * 1000, "scenes": [{"nodes": list(range(1000))}]}
    with pytest.raises(DataError, match="200,004,000 corners of triangles"):
        read_cloud(square.write(tmp_path / "copies.glb"))


def test_read_cloud_refuses_an_image_bomb(with_texture: Callable[..., Any], tmp_path: Path) -> None:
    bomb = bytearray(picture())
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    with pytest.raises(DataError, match="the picture is too large"):
        read_cloud(with_texture(bytes(bomb)).write(tmp_path / "bomb.glb"))


def test_read_cloud_refuses_truncated_pictures(with_texture: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the picture is damaged"):
        read_cloud(with_texture(picture()[:60]).write(tmp_path / "cut.glb"))


def test_read_cloud_refuses_deep_json(tmp_path: Path) -> None:
    (tmp_path / "deep.gltf").write_text('{"asset":' + "[" * 100_000, encoding="utf-8")
    with pytest.raises(DataError, match=r"not valid glTF 2.0 JSON \(.*recursion"):
        read_cloud(tmp_path / "deep.gltf")


def test_read_cloud_follows_a_long_chain_of_nodes(square: Any, tmp_path: Path) -> None:
    chain: list[dict[str, Any]] = [{"children": [i + 1], "translation": [1, 0, 0]} for i in range(5000)]
    square.tree["nodes"] = [*chain, {"mesh": 0}]
    assert extent(read_cloud(square.write(tmp_path / "deep.glb"))) == [5000, 0, 0, 5001, 1, 0]


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [(4, 1, "GLB version 1"), (8, 10**6, "truncated"), (12, 10**6, "a chunk of 1000000 bytes"), (16, 7, "no JSON")],
)
def test_read_cloud_refuses_headers_that_lie(
    square: Any, tmp_path: Path, position: int, value: int, message: str
) -> None:
    data = bytearray(square.glb())
    data[position : position + 4] = struct.pack("<I", value)
    (tmp_path / "lie.glb").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_cloud(tmp_path / "lie.glb")


def test_read_cloud_survives_damage(with_texture: Callable[..., Any], tmp_path: Path) -> None:
    builder = with_texture(picture())
    builder.tree["nodes"] = [{"children": [1], "scale": [2, 1, 1]}, {"mesh": 0, "rotation": [0, 0, 0.6, 0.8]}]
    data = builder.glb()
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.glb"
    for length in np.linspace(0, len(data) - 1, 30).astype(int):
        path.write_bytes(data[:length])
        with pytest.raises(DataError):
            read_cloud(path, count=16)
    refused = 0
    for _ in range(120):
        damaged = bytearray(data)
        for position in random.integers(len(data), size=2):
            damaged[position] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            assert len(read_cloud(path, count=16)) == 16
        except DataError as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
    assert refused > 20
