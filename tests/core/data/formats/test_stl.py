from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from spa3d.data.formats.read import read_cloud
from spa3d.errors import DataError

SQUARE = [[[0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 0, 0], [1, 1, 0], [0, 1, 0]]]


def binary(header: bytes = b"", colors: tuple[int, int] = (0, 0), count: int = 2) -> bytes:
    data = header.ljust(80, b" ") + struct.pack("<I", count)
    for corners, color in zip(SQUARE, colors, strict=True):
        data += struct.pack("<12f", 0, 0, 1, *np.ravel(corners)) + struct.pack("<H", color)
    return data


def ascii_text(end: str = "\n") -> bytes:
    facets = []
    for corners in SQUARE:
        rows = "\n".join("      vertex " + " ".join(f"{number:e}" for number in corner) for corner in corners)
        facets.append(f"  facet normal 0 0 1\n    outer loop\n{rows}\n    endloop\n  endfacet\n")
    return ("solid vertex 1 2 3\n" + "".join(facets) + "endsolid\n").replace("\n", end).encode()


@pytest.mark.parametrize(
    "data", [binary(), binary(b"solid made by a binary writer"), ascii_text(), ascii_text("\r\n"), ascii_text().upper()]
)
def test_read_cloud_reads_ascii_and_binary(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.stl").write_bytes(data)
    cloud = read_cloud(tmp_path / "m.stl")
    assert np.allclose(cloud.points.mean(0), [0.5, 0.5, 0], atol=0.02)
    assert cloud.points.max(0).round(1).tolist() == [1, 1, 0]
    assert (cloud.normals == [0, 0, 1]).all()
    assert cloud.colors is None


def test_read_cloud_joins_several_solids(tmp_path: Path) -> None:
    (tmp_path / "m.stl").write_bytes(ascii_text() + ascii_text().replace(b"1.0", b"4.0"))
    assert read_cloud(tmp_path / "m.stl").points.max() > 3.5


@pytest.mark.parametrize(
    ("header", "colors", "expected"),
    [
        (b"", (0xFC00, 0x801F), ((1, 0, 0), (0, 0, 1))),  # VisCAM: red in the high bits, valid with bit 15
        (b"", (0xFC00, 0), ((1, 0, 0), (1, 1, 1))),
        (b"x COLOR=\xff\x00\x33\xff", (0x001F, 0x8000), ((1, 0, 0), (1, 0, 0.2))),  # Magics: red in the low bits
    ],
)
def test_read_cloud_reads_face_colors(
    tmp_path: Path, header: bytes, colors: tuple[int, int], expected: tuple[tuple[float, ...], ...]
) -> None:
    (tmp_path / "m.stl").write_bytes(binary(header, colors))
    cloud = read_cloud(tmp_path / "m.stl")
    below = cloud.points[:, 0] > cloud.points[:, 1]
    assert np.allclose(cloud.colors[below], expected[0])
    assert np.allclose(cloud.colors[~below], expected[1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (binary(count=3), "says 3 triangles, which take 234 bytes, but it has 184"),
        (binary(count=2**32 - 1), "says 4,294,967,295 triangles"),
        (binary(count=1), "says 1 triangles"),
        (binary(count=0)[:84], "a mesh without faces"),
        (binary()[:60], "60 bytes are no STL mesh"),
        (ascii_text()[:-20], "truncated: no endsolid"),
        (ascii_text().replace(b"vertex 1", b"vortex 1", 2), "vertices in 2 facets of three"),
        (ascii_text().replace(b"1.000000e+00", b"1,0"), "a vertex that is no three numbers"),
        (ascii_text().replace(b"1.000000e+00", b"nan"), "NaN or infinity"),
        (ascii_text().replace(b"1.000000e+00", b"0"), "zero area"),
        (b"solid empty\nendsolid empty\n" + b" " * 80, "a mesh without faces"),
    ],
)
def test_read_cloud_refuses(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "m.stl").write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_cloud(tmp_path / "m.stl")
    assert str(caught.value).startswith(f"{tmp_path / 'm.stl'}: ")


@pytest.mark.parametrize("data", [binary(colors=(0xFC00, 0x801F)), ascii_text()])
def test_read_cloud_survives_damage(tmp_path: Path, data: bytes) -> None:
    random = np.random.default_rng(0)
    refused = 0
    damages = [data[:length] for length in np.linspace(0, len(data) - 8, 30).astype(int)]
    for _ in range(60):
        damaged = bytearray(data)
        damaged[random.integers(len(data))] ^= 1 << random.integers(8)
        damages.append(bytes(damaged))
    for damaged in damages:
        (tmp_path / "m.stl").write_bytes(damaged)
        try:
            read_cloud(tmp_path / "m.stl", count=16)
        except DataError:
            refused += 1
    assert 30 <= refused < 90
