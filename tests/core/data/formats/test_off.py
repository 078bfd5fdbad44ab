from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spa3d.data.formats.read import read_cloud
from spa3d.errors import DataError

BODY = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"


def write(folder: Path, text: str) -> Path:
    (folder / "m.off").write_text(text, encoding="utf-8")
    return folder / "m.off"


@pytest.mark.parametrize(
    "text",
    [
        f"OFF\n4 1 0\n{BODY}4 0 1 2 3\n",
        f"OFF4 1 0\n{BODY}4 0 1 2 3\n",
        f"OFF 4 2 5\n{BODY}3 0 1 2\n3 0 2 3\n",
        f"# comment\nOFF # more\n\n4 1\n{BODY}\n4  0 1 2 3\n",
        "NOFF\n3 1 0\n0 0 0 0 0 1\n2 0 0 0 0 1\n0.5 1.5 0 0 0 1\n3 0 1 2\n",
    ],
)
def test_read_cloud_reads_polygons(tmp_path: Path, text: str) -> None:
    cloud = read_cloud(write(tmp_path, text))
    assert np.allclose(cloud.points.mean(0), [0.5 + 0.3333 * ("NOFF" in text), 0.5, 0], atol=0.03)
    assert (cloud.normals == [0, 0, 1]).all()
    assert cloud.colors is None


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ("255 0 51 255", (1, 0, 0.2)),
        ("255 0 51", (1, 0, 0.2)),
        ("1.0 0.0 0.2 1.0", (1, 0, 0.2)),
        ("1 0 1 1", (1, 0, 1)),
    ],
)
def test_read_cloud_reads_colors_of_vertices_and_faces(tmp_path: Path, color: str, expected: tuple[float, ...]) -> None:
    vertices = "".join(f"{line} {color}\n" for line in BODY.splitlines())
    for text in (f"COFF\n4 1 0\n{vertices}4 0 1 2 3\n", f"OFF\n4 1 0\n{BODY}4 0 1 2 3 {color}\n"):
        assert np.allclose(read_cloud(write(tmp_path, text)).colors, expected, atol=1e-6)


def test_read_cloud_notes_colors_of_some_faces(tmp_path: Path) -> None:
    cloud = read_cloud(write(tmp_path, f"OFF\n4 2 0\n{BODY}3 0 1 2 255 0 0\n3 0 2 3\n"))
    assert cloud.colors is None
    assert "only 1 of 2 faces have a color; the face colors are left out" in cloud.notes


BAD = {
    "other": ("solid a\n", "does not begin with OFF"),
    "vertices": (f"OFF\n9 1 0\n{BODY}4 0 1 2 3\n", "it says 9 vertices and 1 faces, but 5 lines follow"),
    "huge": (f"OFF\n4 999999999999 0\n{BODY}4 0 1 2 3\n", "it says 4 vertices and 999,999,999,999 faces"),
    "negative": (f"OFF\n-4 1 0\n{BODY}4 0 1 2 3\n", "it says -4 vertices"),
    "counts": (f"OFF\nfour 1 0\n{BODY}", "no numbers of vertices and faces"),
    "nothing": ("OFF\n", "no numbers of vertices and faces"),
    "no-faces": (f"OFF\n4 0 0\n{BODY}", "a mesh without faces"),
    "beyond": (f"OFF\n4 1 0\n{BODY}3 0 1 4\n", "a face of vertex 4"),
    "corners": (f"OFF\n4 1 0\n{BODY}5 0 1 2 3\n", "has 4 of 5 corners"),
    "word": (f"OFF\n4 1 0\n{BODY}3 0 1 x\n", "face 0 is '3 0 1 x'"),
    "comma": ("OFF\n3 1 0\n0,5 0 0\n1 0 0\n1 1 0\n3 0 1 2\n", "a vertex that is no numbers"),
    "row": ("OFF\n3 1 0\n0 0 0\n1 0\n1 1 0\n3 0 1 2\n", "vertex 1 is '1 0', not 3 numbers"),
    "binary": ("OFF BINARY\n\0\0\0\4\n", "this kind of OFF (OFF BINARY) is not read"),
    "four": ("4OFF\n1 0 0\n0 0 0 1\n", "this kind of OFF (4OFF) is not read"),
    "coff": (f"COFF\n4 1 0\n{BODY}4 0 1 2 3\n", "3 numbers per vertex, too few for its header"),
    "nan": (f"OFF\n4 1 0\n{BODY.replace('1', 'nan')}4 0 1 2 3\n", "NaN or infinity"),
    "flat": ("OFF\n3 1 0\n0 0 0\n1 0 0\n2 0 0\n3 0 1 2\n", "zero area"),
}


@pytest.mark.parametrize("name", BAD)
def test_read_cloud_refuses(tmp_path: Path, name: str) -> None:
    text, message = BAD[name]
    with pytest.raises(DataError) as caught:
        read_cloud(write(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / 'm.off'}: ")
    assert message in str(caught.value)


def test_read_cloud_survives_damage(tmp_path: Path) -> None:
    data = f"COFF\n4 2 0\n{BODY.replace(chr(10), ' 255 0 0 255' + chr(10))}3 0 1 2\n3 0 2 3\n".encode()
    random = np.random.default_rng(0)
    damages = [data[:length] for length in np.linspace(0, len(data), 30).astype(int)]
    for _ in range(100):
        damaged = bytearray(data)
        damaged[random.integers(len(data))] = random.integers(256)
        damages.append(bytes(damaged))
    refused = 0
    for damaged in damages:
        (tmp_path / "m.off").write_bytes(damaged)
        try:
            read_cloud(tmp_path / "m.off", count=16)
        except DataError:
            refused += 1
    assert 20 < refused < 130
