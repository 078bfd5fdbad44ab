"""A glTF file of one square, built byte by byte, whose JSON a test may change."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TYPES = {"f4": 5126, "u1": 5121, "u2": 5123, "u4": 5125, "i1": 5120, "i2": 5122}
SHAPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
UV = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
"""Texture coordinates of the square, with v down: its upper left corner is that of the picture."""


@dataclass
class GltfBuilder:
    """JSON and bytes of a file."""

    tree: dict[str, Any]
    data: bytearray = field(default_factory=bytearray)

    def view(self, content: bytes) -> int:
        self.data.extend(b"\0" * (-len(self.data) % 4))
        self.tree["bufferViews"].append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content)})
        self.data.extend(content)
        return len(self.tree["bufferViews"]) - 1

    def accessor(self, values: np.ndarray, **fields: Any) -> int:
        width = 1 if values.ndim == 1 else values.shape[1]
        row = {
            "bufferView": self.view(values.tobytes()),
            "componentType": TYPES[values.dtype.str[1:]],
            "count": len(values),
            "type": SHAPES[width],
        }
        self.tree["accessors"].append(row | fields)
        return len(self.tree["accessors"]) - 1

    @property
    def primitive(self) -> dict[str, Any]:
        return self.tree["meshes"][0]["primitives"][0]

    def paint(self, **fields: Any) -> None:
        self.tree["materials"] = [fields]
        self.primitive["material"] = 0

    def glb(self) -> bytes:
        self.tree["buffers"] = [{"byteLength": len(self.data)}]
        text = json.dumps(self.tree).encode()
        text += b" " * (-len(text) % 4)
        body = bytes(self.data) + b"\0" * (-len(self.data) % 4)
        chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(body), 0x004E4942) + body
        return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks

    def write(self, path: Path) -> Path:
        if path.suffix == ".glb":
            path.write_bytes(self.glb())
            return path
        if "buffers" not in self.tree:
            uri = "data:application/octet-stream;base64," + base64.b64encode(self.data).decode()
            self.tree["buffers"] = [{"byteLength": len(self.data), "uri": uri}]
        path.write_text(json.dumps(self.tree), encoding="utf-8")
        return path


@pytest.fixture
def square() -> GltfBuilder:
    """A square of two triangles in the plane of x and y, from 0 to 1."""
    builder = GltfBuilder(
        {
            "asset": {"version": "2.0"},
            "accessors": [],
            "bufferViews": [],
            "meshes": [{"primitives": [{"attributes": {}}]}],
            "nodes": [{"mesh": 0}],
            "scenes": [{"nodes": [0]}],
        }
    )
    builder.primitive["attributes"]["POSITION"] = builder.accessor(SQUARE)
    builder.primitive["indices"] = builder.accessor(np.array([0, 1, 2, 0, 2, 3], np.uint16))
    return builder


@pytest.fixture
def with_texture(square: GltfBuilder) -> Callable[..., GltfBuilder]:
    """The square with texture coordinates and a texture."""

    def build(
        picture: bytes, *, texture: dict[str, Any] | None = None, info: dict[str, Any] | None = None
    ) -> GltfBuilder:
        square.primitive["attributes"]["TEXCOORD_0"] = square.accessor(UV)
        square.tree["images"] = [{"bufferView": square.view(picture), "mimeType": "image/png"}]
        square.tree["textures"] = [{"source": 0} | (texture or {})]
        square.paint(pbrMetallicRoughness={"baseColorTexture": {"index": 0} | (info or {})})
        return square

    return build
