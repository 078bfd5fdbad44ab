from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spa3d.data.formats.read import read_cloud
from spa3d.errors import DataError

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
MAPPED = f"{SQUARE}vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nmtllib m.mtl\nusemtl wood\nf 1/1 2/2 3/3 4/4\n"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of two pixels: red on the left, green on the right."""
    image = Image.new("RGB", (2, 1), (255, 0, 0))
    image.putpixel((1, 0), (0, 255, 0))
    image.save(tmp_path / "two colors.png")
    return tmp_path / "two colors.png"


def write(folder: Path, text: str, mtl: str = "") -> Path:
    if mtl:
        (folder / "m.mtl").write_text(mtl, encoding="utf-8")
    (folder / "m.obj").write_text(text, encoding="utf-8", newline="")
    return folder / "m.obj"


def colors_by_side(path: Path) -> tuple[set[tuple[int, ...]], set[tuple[int, ...]]]:
    """Colors, as bytes, of the points left and right of x = 0.5."""
    cloud = read_cloud(path)
    assert cloud.colors is not None
    rounded = np.round(cloud.colors * 255).astype(int)
    left = cloud.points[:, 0] < 0.5
    return {tuple(c) for c in rounded[left].tolist()}, {tuple(c) for c in rounded[~left].tolist()}


@pytest.mark.parametrize(
    "faces",
    [
        "f 1 2 3\nf 1 3 4\n",
        "f 1 2 3 4\n",
        "f -4 -3 -2 -1\nv 9 9 9\n",
        "f 1//1 2//1 3//1 4//1\nvn 0 0 1\n",
        "f 1 2 \\\n3 4\n",
        "\tf  1  2 3\n  f 1 3 4 # the other half\n",
        "s off\no square\ng all\nf 1 2 3\nf 2 1 1\nf 1 3 4\n",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_read_cloud_reads_faces_of_all_forms(tmp_path: Path, faces: str, end: str) -> None:
    cloud = read_cloud(write(tmp_path, ("# a square\n" + SQUARE + faces).replace("\n", end)))
    assert np.allclose(cloud.points.mean(0), [0.5, 0.5, 0], atol=0.02)
    assert cloud.points.max(0).round(1).tolist() == [1, 1, 0]
    assert (cloud.normals == [0, 0, 1]).all()
    assert cloud.colors is None


def test_read_cloud_colors_by_material(tmp_path: Path) -> None:
    text = f"{SQUARE}mtllib m.mtl\nusemtl red one\nf 1 2 3\nusemtl gray\nf 1 3 4\nusemtl red one\n"
    cloud = read_cloud(write(tmp_path, text, "newmtl red one\nKd 1 0 0\nNs 5\nnewmtl gray\nKd 0.5\n"))
    below = cloud.points[:, 0] > cloud.points[:, 1]
    assert (cloud.colors[below] == [1, 0, 0]).all()
    assert (cloud.colors[~below] == 0.5).all()


def test_read_cloud_says_which_material_is_not_there(tmp_path: Path) -> None:
    text = f"{SQUARE}mtllib m.mtl\nusemtl red\nf 1 2 3\nusemtl blue\nf 1 3 4\n"
    notes = read_cloud(write(tmp_path, text, "newmtl red\nKd 1 0 0\n")).notes
    assert "no file of materials has 'blue'; parts of it have no color of their own" in notes
    assert "1 of the 2 parts of the mesh have no color; they are white" in notes


@pytest.mark.parametrize(
    ("options", "left", "right"),
    [
        ("", (255, 0, 0), (0, 255, 0)),
        ("-clamp on -blendu off -bm 0.5 ", (255, 0, 0), (0, 255, 0)),
        ("-o 0.5 ", (0, 255, 0), (255, 0, 0)),
        ("-o 0.5 0 0 -clamp on ", (0, 255, 0), (0, 255, 0)),
        ("-s 0.5 1 1 ", (255, 0, 0), (255, 0, 0)),
        ("-mm 0 1 -s -1 1 -texres 64 ", (0, 255, 0), (255, 0, 0)),
    ],
)
def test_read_cloud_reads_textures_with_options(
    tmp_path: Path, picture: Path, options: str, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    path = write(tmp_path, MAPPED, f"newmtl wood\nKd 0 0 0\nmap_Kd {options}two colors.png\n")
    assert colors_by_side(path) == ({left}, {right})


def test_read_cloud_finds_a_texture_of_other_case_and_slashes(tmp_path: Path, picture: Path) -> None:
    (tmp_path / "maps").mkdir()
    picture.rename(tmp_path / "maps" / "Two.PNG")
    path = write(tmp_path, MAPPED, "newmtl wood\nmap_Kd maps\\two.png\n")
    assert colors_by_side(path) == ({(255, 0, 0)}, {(0, 255, 0)})


def test_read_cloud_gives_faces_without_coordinates_the_plain_color(tmp_path: Path, picture: Path) -> None:
    text = MAPPED + "v 5 0 0\nv 6 0 0\nv 5 2 0\nf 5 6 7\n"
    cloud = read_cloud(write(tmp_path, text, "newmtl wood\nKd 0 0 1\nmap_Kd two colors.png\n"))
    assert (cloud.colors[cloud.points[:, 0] > 2] == [0, 0, 1]).all()
    assert any("no texture coordinates" in note for note in cloud.notes)


def test_read_cloud_reads_vertex_colors_and_leaves_material_colors(tmp_path: Path) -> None:
    text = "mtllib m.mtl\nusemtl a\nv 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 0 1 0 0 0 1\nf 1 2 3\n"
    cloud = read_cloud(write(tmp_path, text, "newmtl a\nKd 0.8 0.8 0.8\n"))
    assert np.allclose(cloud.colors[:, 1:], cloud.points[:, :2], atol=1e-6)
    assert "colors of materials are left out: the vertices have colors" in cloud.notes


def test_read_cloud_scales_vertex_colors_as_told(tmp_path: Path) -> None:
    path = write(tmp_path, "v 0 0 0 255 0 0\nv 1 0 0 255 0 0\nv 0 1 0 255 0 0\nf 1 2 3\n")
    assert (read_cloud(path, colors="0-255").colors == [1, 0, 0]).all()
    with pytest.raises(DataError, match="colors look like 0-255"):
        read_cloud(path)


def test_read_cloud_whitens_vertices_without_color(tmp_path: Path) -> None:
    cloud = read_cloud(write(tmp_path, "v 0 0 0 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"))
    assert np.allclose(cloud.colors[:, 0], cloud.points[:, :2].sum(1), atol=1e-6)
    assert "2 of 3 vertices have no color; they are white" in cloud.notes


def test_read_cloud_without_faces_takes_the_vertices(tmp_path: Path) -> None:
    cloud = read_cloud(write(tmp_path, "v 0 0 0 1 0 0\nv 1 2 3 0 1 0\np 1 2\n"))
    assert cloud.points.tolist() == [[0, 0, 0], [1, 2, 3]]
    assert cloud.colors.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert cloud.notes[0] == "no faces: its vertices are the points"


BAD = {
    "empty": ("# nothing\n", "neither faces nor vertices"),
    "beyond": (f"{SQUARE}f 1 2 9\n", "a face of vertex 9, but the file has 4"),
    "behind": (f"f -1 -2 -3\n{SQUARE}", "a face of vertex -1, but the file has 4"),
    "zero": (f"{SQUARE}f 0 1 2\n", "a face of vertex 0"),
    "coordinates": (f"{SQUARE}f 1/7 2/7 3/7\n", "a face of texture coordinate 7, but the file has 0"),
    "word": (f"{SQUARE}f a b c\n", "a corner of a face that is no number"),
    "digits": (f"{SQUARE}f 1 2 {'9' * 5000}\n", "a corner of a face that is no number"),
    "comma": ("v 0,5 1,5 0\nv 1 1 1\nv 2 1 0\nf 1 2 3\n", "a line 'v' without numbers"),
    "short": ("v 0 1\nv 1 1\nv 2 1\nf 1 2 3\n", "a vertex '0 1', but three numbers"),
    "blank": ("v 0 0 0 1 1 1\nv \nv 1 1 0\nv 0 1 0\nf 1 3 4\n", "a vertex '', but three numbers belong there"),
    "nan": (f"v nan 0 0\n{SQUARE}f 1 2 3\n", "NaN or infinity in 1 of the vertices"),
    "flat": ("v 0 0 0\nv 1 1 1\nv 2 2 2\nf 1 2 3\n", "zero area"),
    "two": (f"{SQUARE}f 1 2\n", "a mesh without faces"),
    "mtl": (f"mtllib gone.mtl\n{SQUARE}f 1 2 3\n", "'gone.mtl' cannot be read: no such file; copy it"),
    "mtl-above": (f"mtllib ../m.mtl\n{SQUARE}f 1 2 3\n", "leaves the folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_read_cloud_refuses(tmp_path: Path, name: str) -> None:
    text, message = BAD[name]
    with pytest.raises(DataError) as caught:
        read_cloud(write(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / 'm.obj'}")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("texture", "message"),
    [
        ("gone.png", "texture of the material 'wood' (delete its map_Kd to read its plain color): 'gone.png' cannot"),
        ("../a.png", "leaves the folder of m.mtl"),
        ("C:\\Users\\me\\a.png", "name it 'a.png'"),
        ("/elsewhere/a.png", "leaves the folder"),
        ("http://example.org/a.png", "is an address"),
        ("m.mtl", "no picture of a known format"),
    ],
)
def test_read_cloud_refuses_textures(tmp_path: Path, texture: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_cloud(write(tmp_path, MAPPED, f"newmtl wood\nmap_Kd {texture}\n"))
    assert message in str(caught.value)


def test_read_cloud_ignores_the_textures_of_materials_without_faces(tmp_path: Path) -> None:
    path = write(tmp_path, MAPPED, "newmtl wood\nKd 1 0 0\nnewmtl other\nmap_Kd gone.png\n")
    assert (read_cloud(path).colors == [1, 0, 0]).all()


def test_read_cloud_survives_damage(tmp_path: Path, picture: Path) -> None:
    data = write(tmp_path, MAPPED, "newmtl wood\nmap_Kd two colors.png\n").read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "m.obj"
    damages = [data[:length] for length in np.linspace(0, len(data), 30).astype(int)]
    for _ in range(100):
        damaged = bytearray(data)
        damaged[random.integers(len(data))] = random.integers(256)
        damages.append(bytes(damaged))
    refused = 0
    for damaged in damages:
        path.write_bytes(damaged)
        try:
            read_cloud(path, count=16)
        except DataError:
            refused += 1
    assert 10 < refused < 120
