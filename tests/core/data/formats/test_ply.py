import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import spa3d
from spa3d.errors import DataError

HEAD = "ply\nformat ascii 1.0\n"


def write(path: Path, text: str, binary: bytes = b"") -> Path:
    path.write_bytes(text.encode("latin-1") + binary)
    return path


def cloud(path: Path, body: str, properties: str = "float x, float y, float z", count: int | str = 2) -> spa3d.Cloud:
    """Read an ascii file of vertices."""
    lines = "".join(f"property {each}\n" for each in properties.split(", "))
    return spa3d.read_cloud(write(path / "a.ply", f"{HEAD}element vertex {count}\n{lines}end_header\n{body}"))


Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.mark.parametrize("name", ["little.ply", "big.ply", "text.ply"])
def test_read_cloud_equals_what_plyfile_wrote(name: str, sample: Sample, write_sample: Callable[[str], Path]) -> None:
    read, (xyz, rgb, normals) = spa3d.read_cloud(write_sample(name)), sample
    np.testing.assert_array_equal(read.points, xyz.astype(np.float64))
    np.testing.assert_array_equal(read.colors, rgb / np.float32(255))
    np.testing.assert_array_equal(read.normals, normals)
    assert read.notes == ()
    assert read.to_array().dtype == np.float32


def test_read_cloud_properties_of_other_types_and_order(tmp_path: Path) -> None:
    properties = "ushort blue, double z, ushort green, float quality, double x, ushort red, double y"
    read = cloud(tmp_path, "0 3 32767.5 9 500000.125 65535 2\n65535 6 0 9 500001 0 5\n".replace(".5 ", " "), properties)
    np.testing.assert_array_equal(read.points, [[500000.125, 2, 3], [500001, 5, 6]])
    np.testing.assert_allclose(read.colors, [[1, 32767 / 65535, 0], [0, 0, 1]])
    assert read.precision == np.float64
    assert read.notes == ("properties that are not used: quality",)


def test_read_cloud_colors_of_several_types_or_that_do_not_fit(tmp_path: Path) -> None:
    properties = "float x, float y, float z, uchar red, ushort green, uchar blue"
    np.testing.assert_allclose(cloud(tmp_path, "1 2 3 255.0 13107 0\n", properties, 1).colors, [[1, 0.2, 0]])
    with pytest.raises(DataError, match=r"a color does not fit its type \(uint8, uint16\); correct the header"):
        cloud(tmp_path, "1 2 3 300 13107 0\n", properties, 1)


@pytest.mark.parametrize("names", ["r g b", "diffuse_red diffuse_green diffuse_blue", "Red Green Blue"])
def test_read_cloud_other_names_of_colors(tmp_path: Path, names: str) -> None:
    colors = ", ".join(f"uchar {name}" for name in names.split())
    read = cloud(tmp_path, "0 0 0 255 51 0\n1 1 1 0 0 255\n", f"float x, float y, float z, {colors}")
    np.testing.assert_allclose(read.colors, [[1, 0.2, 0], [0, 0, 1]])


def test_read_cloud_float_colors_are_as_told(tmp_path: Path) -> None:
    properties = "float x, float y, float z, float red, float green, float blue"
    read = cloud(tmp_path, "0 0 0 1 0.5 0\n1 1 1 0 0 0.25\n", properties)
    np.testing.assert_allclose(read.colors, [[1, 0.5, 0], [0, 0, 0.25]])
    with pytest.raises(DataError, match=r"a\.ply: colors look like 0-255"):
        cloud(tmp_path, "0 0 0 255 128 0\n1 1 1 0 0 64\n", properties)
    read = spa3d.read_cloud(tmp_path / "a.ply", colors="0-255")
    np.testing.assert_allclose(read.colors[0], [1, 128 / 255, 0])


def test_read_cloud_whole_coordinates_are_noted(tmp_path: Path) -> None:
    read = cloud(tmp_path, "1 2 3\n-4 5 600\n", "int x, int y, int z")
    np.testing.assert_array_equal(read.points, [[1, 2, 3], [-4, 5, 600]])
    assert read.notes == ("coordinates are whole numbers (int32); their unit is taken as 1",)


def test_read_cloud_skips_elements_in_front_and_behind(tmp_path: Path) -> None:
    header = (
        "ply\nformat binary_big_endian 1.0\ncomment Größe in Metern\nelement camera 2\nproperty float focal\n"
        "element strip 2\nproperty list uchar short part\nproperty int id\nelement vertex 2\nproperty float x\n"
        "property float y\nproperty float z\nelement edge 1\nproperty int a\nend_header\n"
    ).replace("\n", "\r\n")
    strips = struct.pack(">Bhhi", 2, 7, 8, 1) + struct.pack(">Bhi", 1, 9, 2)
    body = struct.pack(">2f", 1, 2) + strips + struct.pack(">6f", *range(6)) + struct.pack(">i", 5) + b"garbage"
    read = spa3d.read_cloud(write(tmp_path / "a.ply", "\xef\xbb\xbf" + header, body))
    np.testing.assert_array_equal(read.points, [[0, 1, 2], [3, 4, 5]])
    assert read.notes == ("elements that are not used: camera, strip, edge",)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_read_cloud_line_ends(tmp_path: Path, newline: str) -> None:
    text = (
        f"{HEAD}element vertex 2\nproperty float x\nproperty float y\nproperty float z\nend_header\n1 2 3 \n\n4 5 6\n"
    )
    read = spa3d.read_cloud(write(tmp_path / "a.ply", text.replace("\n", newline)))
    np.testing.assert_array_equal(read.points, [[1, 2, 3], [4, 5, 6]])


def test_read_cloud_gaussian_splats_have_the_color_of_the_first_harmonic(tmp_path: Path) -> None:
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "f_rest_0", "opacity", "scale_0", "rot_0"]
    rows = "0 0 0 0 0 0 0 1 -9 1 1 1 1\n1 0 0 0 0 0 9 0 0 1 1 1 1\n"
    read = cloud(tmp_path, rows, ", ".join(f"float {name}" for name in names))
    np.testing.assert_allclose(read.colors, [[0.5, 0.782095, 0], [1, 0.5, 0.5]], atol=1e-6)
    assert "Gaussian splats" in read.notes[0]


BROKEN = {
    "no coordinates": (f"{HEAD}element vertex 1\nproperty float x\nend_header\n1\n", "no x, y and z; there: x"),
    "no vertices": (f"{HEAD}element face 0\nproperty float x\nend_header\n", "no element vertex"),
    "negative": (f"{HEAD}element vertex -1\nproperty float x\nend_header\n", "'element vertex -1'; a count is"),
    "lie": (f"{HEAD}element vertex 1000000000000\nproperty float x\nend_header\n1\n", "truncated: its header promises"),
    "no end": (f"{HEAD}element vertex 1\n", "no end (end_header)"),
    "type": (f"{HEAD}element vertex 1\nproperty int65 x\nend_header\n1\n", "line 4: field type 'int65'"),
    "version": ("ply\nformat ascii 2.0\nend_header\n", "line 2: expected version '1.0'"),
    "twice": (f"{HEAD}element vertex 1\nproperty float x\nproperty int x\nend_header\n1 1\n", "same name"),
    "empty": (
        f"{HEAD}element vertex 0\nproperty float x\nproperty float y\nproperty float z\nend_header\n",
        "no points",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_read_cloud_wrong_header(tmp_path: Path, case: str) -> None:
    text, message = BROKEN[case]
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        spa3d.read_cloud(write(tmp_path / "a.ply", text))
    assert str(caught.value).startswith(str(tmp_path / "a.ply"))


def test_read_cloud_wrong_lines_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 9: 'abc' is no number"):
        cloud(tmp_path, "1 2 3\n4 abc 6\n")
    with pytest.raises(DataError, match=r"line 9: 4 values where 3 belong"):
        cloud(tmp_path, "1 2 3\n4 5 6 7\n")
    with pytest.raises(DataError, match=r"truncated: 1 of 2 vertex lines are missing"):
        cloud(tmp_path, "1 2 3456789\n")


TRIANGLES = "element face {}\nproperty list uchar int vertex_indices\n"
SQUARE = "0 0 0 {}\n4 0 0 {}\n4 4 0 {}\n0 4 0 {}\n"


def mesh(
    path: Path, vertices: str, faces: str, properties: str = "", extra: str = "", comment: str = ""
) -> spa3d.Cloud:
    """Read an ascii mesh of a square of 4 by 4."""
    colors = "".join(f"property {each}\n" for each in properties.split(", ") if each)
    head = f"{HEAD}{comment}element vertex 4\nproperty float x\nproperty float y\nproperty float z\n{colors}"
    face = TRIANGLES.format(len(faces.splitlines())) + "".join(
        f"property {each}\n" for each in extra.split(", ") if each
    )
    return spa3d.read_cloud(write(path / "a.ply", f"{head}{face}end_header\n{vertices}{faces}"), count=4000)


def test_read_cloud_polygons_are_drawn_by_area(tmp_path: Path) -> None:
    read = mesh(tmp_path, SQUARE.format(*[""] * 4), "4 0 1 2 3\n2 0 1\n")
    assert read.points.shape == (4000, 3)
    assert (read.points[:, 2] == 0).all()
    np.testing.assert_allclose(read.points[:, :2].mean(axis=0), [2, 2], atol=0.1)
    assert read.colors is None
    assert read.notes[1:] == (
        "1 faces with fewer than three corners are left out",
        "1 faces with more than three corners are cut into triangles",
    )


def test_read_cloud_mesh_with_vertex_colors(tmp_path: Path) -> None:
    vertices = SQUARE.format("0 0 0", "255 0 0", "255 255 0", "0 255 0")
    read = mesh(tmp_path, vertices, "3 0 1 2\n3 0 2 3\n", "uchar red, uchar green, uchar blue")
    np.testing.assert_allclose(read.colors[:, :2], read.points[:, :2] / 4, atol=1e-5)
    assert (read.colors[:, 2] == 0).all()


def test_read_cloud_mesh_with_face_colors(tmp_path: Path) -> None:
    faces = "3 0 1 2 255 0 0\n3 0 2 3 0 0 51\n"
    read = mesh(tmp_path, SQUARE.format(*[""] * 4), faces, extra="uchar red, uchar green, uchar blue")
    lower = read.points[:, 0] > read.points[:, 1]
    assert (read.colors[lower] == [1, 0, 0]).all()
    np.testing.assert_allclose(read.colors[~lower], [[0, 0, 0.2]] * int((~lower).sum()))


def test_read_cloud_binary_faces_of_different_lengths(write_sample: Callable[[str], Path]) -> None:
    read, text = (spa3d.read_cloud(write_sample(name), count=500) for name in ("faces.ply", "text_faces.ply"))
    np.testing.assert_array_equal(read.points, text.points)
    assert read.notes == text.notes
    assert "500 points drawn from 4 triangles" in read.notes[0]


def test_read_cloud_triangle_strips(tmp_path: Path) -> None:
    head = f"{HEAD}element vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    strips = "element tristrips 1\nproperty list int int vertex_indices\nend_header\n"
    text = f"{head}{strips}0 0 0\n1 0 0\n0 1 0\n1 1 0\n8 0 1 2 -1 0 1 2 3\n"
    read = spa3d.read_cloud(write(tmp_path / "a.ply", text), count=300)
    assert "drawn from 3 triangles" in read.notes[0]
    np.testing.assert_array_equal(read.normals, [[0, 0, 1]] * 300)


def picture(path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)).save(path)


def test_read_cloud_mesh_with_a_texture_per_corner(tmp_path: Path) -> None:
    picture(tmp_path / "two colors.png")
    faces = "3 0 1 2 6 0 0 1 0 1 1\n3 0 2 3 6 0 0 1 1 0 1\n"
    extra = "list uchar float texcoord"
    comment = "comment TextureFile two colors.png\n"
    read = mesh(tmp_path, SQUARE.format(*[""] * 4), faces, extra=extra, comment=comment)
    left = read.points[:, 0] < 2
    assert (read.colors[left] == [1, 0, 0]).all()
    assert (read.colors[~left] == [0, 1, 0]).all()


def test_read_cloud_mesh_with_a_texture_per_vertex_or_a_missing_one(tmp_path: Path) -> None:
    vertices, comment = SQUARE.format("0 0", "1 0", "1 1", "0 1"), "comment TextureFile a.png\n"
    with pytest.raises(DataError, match=r"TextureFile: 'a\.png' cannot be read: no such file"):
        mesh(tmp_path, vertices, "3 0 1 2\n3 0 2 3\n", "float s, float t", comment=comment)
    picture(tmp_path / "a.png")
    read = mesh(tmp_path, vertices, "3 0 1 2\n3 0 2 3\n", "float s, float t", comment=comment)
    assert (read.colors[read.points[:, 0] < 2] == [1, 0, 0]).all()
    colors = ", ".join(f"uchar {name}" for name in ("red", "green", "blue"))
    vertices = SQUARE.format(*["0 0 0 51 0"] * 4)
    missing = comment.replace("a.png", "../b.png")
    read = mesh(tmp_path, vertices, "3 0 1 2\n", f"float s, float t, {colors}", comment=missing)
    np.testing.assert_allclose(read.colors, [[0, 0.2, 0]] * 4000)
    assert "leaves the folder" in read.notes[-1]


def test_read_cloud_wrong_faces(tmp_path: Path) -> None:
    square = SQUARE.format(*[""] * 4)
    with pytest.raises(DataError, match=r"a\.ply: .*vert"):
        mesh(tmp_path, square, "3 0 1 9\n")
    with pytest.raises(DataError, match=r"line 14: 3 values where its properties have 4"):
        mesh(tmp_path, square, "3 0 1\n3 0 1 2\n")
    with pytest.raises(DataError, match=r"line 14: the list vertex_indices has no length"):
        mesh(tmp_path, square, "-3 0 1 2\n")
