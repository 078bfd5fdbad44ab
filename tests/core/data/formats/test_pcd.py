import re
import struct
from collections.abc import Callable
from pathlib import Path

import lzf
import numpy as np
import pytest

import spa3d
from spa3d.errors import DataError

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


def header(points: int, encoding: str, fields: str = "x y z", types: str = "F F F", **entries: str) -> str:
    sizes = " ".join("4" for _ in fields.split())
    values = {
        "FIELDS": fields,
        "SIZE": sizes,
        "TYPE": types,
        "WIDTH": f"{points}",
        "HEIGHT": "1",
        "POINTS": f"{points}",
    }
    values |= entries
    return "".join(f"{key} {value}\n" for key, value in values.items() if value) + f"DATA {encoding}\n"


def read(path: Path, text: str, binary: bytes = b"") -> spa3d.Cloud:
    (path / "a.pcd").write_bytes(text.encode() + binary)
    return spa3d.read_cloud(path / "a.pcd")


@pytest.mark.parametrize("name", ["ascii.pcd", "binary.pcd", "compressed.pcd"])
def test_read_cloud_equals_what_pypcd4_wrote(name: str, sample: Sample, write_sample: Callable[[str], Path]) -> None:
    cloud = spa3d.read_cloud(write_sample(name))
    np.testing.assert_allclose(cloud.points, sample[0], atol=1e-9)
    assert cloud.precision == np.float32
    if name == "ascii.pcd":  # pypcd4 writes the float of the bits with 10 decimals, which are all 0
        assert (cloud.colors == 0).all()
        assert cloud.notes == ("rgb is 0 everywhere, as in files whose writer cut its digits; all points are black",)
    else:
        np.testing.assert_array_equal(cloud.colors, sample[1] / np.float32(255))


def test_read_cloud_packed_colors_of_all_types(tmp_path: Path) -> None:
    bits = struct.unpack("<f", struct.pack("<I", 0x00FF3300))[0]
    for types, value in (("F F F F", f"{bits!r}"), ("F F F U", "4294914816"), ("F F F I", "-52480")):
        cloud = read(tmp_path, header(2, "ascii", "x y z rgb", types) + f"0 0 0 {value}\n1 1 1 {value}\n")
        np.testing.assert_allclose(cloud.colors, [[1, 0.2, 0]] * 2)
        assert cloud.notes == ()
    opaque = struct.pack("<3fI", 0, 0, 0, 0xFFFF3300) + struct.pack("<3fI", 1, 1, 1, 0xFF990033)
    cloud = read(tmp_path, header(2, "binary", "x y z rgb", "F F F F"), opaque)  # the bits of NaNs
    np.testing.assert_allclose(cloud.colors, [[1, 0.2, 0], [0.6, 0, 0.2]])


def test_read_cloud_packed_colors_that_are_lost_or_whole_numbers(tmp_path: Path) -> None:
    cloud = read(tmp_path, header(2, "ascii", "x y z rgb", "F F F F") + "0 0 0 nan\n1 1 1 0\n")
    assert (cloud.colors == 0).all()
    assert cloud.notes == ("1 packed colors are written as nan, which loses them; they are black",)
    cloud = read(tmp_path, header(2, "ascii", "x y z rgb", "F F F F") + "0 0 0 4.2108e+06\n1 1 1 0\n")
    np.testing.assert_allclose(cloud.colors[0] * 255, [0x40, 0x40, 0x70])
    assert cloud.notes[0].startswith("rgb has whole numbers stored as floats, read as 0xRRGGBB")


def test_read_cloud_separate_colors_normals_and_other_fields(tmp_path: Path) -> None:
    fields = "x y z r g b normal_x normal_y normal_z curvature"
    types = "F F F U U U F F F F"
    text = header(2, "ascii", fields, types, SIZE="8 8 8 1 1 1 4 4 4 4")
    cloud = read(tmp_path, text + "500000.125  2\t3 255 0 51 0 0 1 9\n500001 5 6 0 0 0 1 0 0 9\n")
    np.testing.assert_array_equal(cloud.points, [[500000.125, 2, 3], [500001, 5, 6]])
    np.testing.assert_allclose(cloud.colors, [[1, 0, 0.2], [0, 0, 0]])
    np.testing.assert_array_equal(cloud.normals, [[0, 0, 1], [1, 0, 0]])
    assert cloud.precision == np.float64
    assert cloud.notes == ("fields that are not used: curvature",)


def test_read_cloud_organized_cloud_leaves_out_points_of_no_return(tmp_path: Path) -> None:
    entries = {"WIDTH": "2", "HEIGHT": "2", "POINTS": "", "VIEWPOINT": "1 0 0 1 0 0 0"}
    cloud = read(tmp_path, header(4, "ascii", **entries) + "1 2 3\nnan nan nan\n4 5 6\n7 nan 9\n")
    np.testing.assert_array_equal(cloud.points, [[1, 2, 3], [4, 5, 6]])
    assert cloud.notes == (
        "2 of 4 points are NaN, no return of the sensor; left out",
        "VIEWPOINT 1 0 0 1 0 0 0 of the sensor is not applied; points stay in the frame of the file",
    )
    with pytest.raises(DataError, match=r"all 1 points are NaN"):
        read(tmp_path, header(1, "ascii") + "nan nan nan\n")


def test_read_cloud_padding_and_fields_of_several_values(tmp_path: Path) -> None:
    text = header(2, "binary", "_ x y z _ shot", "U F F F U F", SIZE="1 4 4 4 1 4", COUNT="2 1 1 1 3 2")
    body = b"".join(struct.pack("<2x3f3x2f", *range(start, start + 5)) for start in (0, 5))
    cloud = read(tmp_path, text, body)
    np.testing.assert_array_equal(cloud.points, [[0, 1, 2], [5, 6, 7]])
    assert cloud.notes == ("fields that are not used: shot",)


@pytest.mark.parametrize("with_padding", [False, True])
def test_read_cloud_compressed_with_or_without_its_padding(tmp_path: Path, with_padding: bool) -> None:
    columns = np.repeat(np.arange(3, dtype="<f4"), 50)
    raw = (b"\0" * 200 if with_padding else b"") + columns.tobytes()
    packed = lzf.compress(raw)
    body = struct.pack("<II", len(packed), len(raw)) + packed
    cloud = read(tmp_path, header(50, "binary_compressed", "_ x y z", "U F F F", SIZE="1 4 4 4", COUNT="4 1 1 1"), body)
    np.testing.assert_array_equal(cloud.points, [[0, 1, 2]] * 50)


BROKEN = {
    "points": (header(3, "ascii", WIDTH="2"), "POINTS 3, but WIDTH times HEIGHT is 2"),
    "many": (header(10**12, "ascii"), "1,000,000,000,000 points; thin them out"),
    "lie": (header(10**6, "binary"), "truncated: 0 of 1,000,000 points are there"),
    "text lie": (header(10**6, "ascii"), "truncated: 1,000,000 points do not fit in 0 bytes"),
    "negative": (header(3, "ascii", POINTS="-3"), "POINTS '-3'; whole numbers are possible"),
    "values": (header(3, "ascii", COUNT="1 1 999999999"), "1,000,000,001 values per point"),
    "zero": (header(3, "ascii", COUNT="1 1 0"), "and 1 per field"),
    "lengths": (header(3, "ascii", SIZE="4 4"), "3 FIELDS, 2 SIZE, 3 TYPE, 3 COUNT"),
    "type": (header(3, "ascii", types="F F X"), "TYPE is F, U or I"),
    "size": (header(3, "ascii", SIZE="4 4 3"), "SIZE 1, 2, 4 or 8"),
    "encoding": (header(3, "zip"), "DATA 'zip'; possible: ascii, binary"),
    "axes": (header(3, "ascii", fields="x y u"), "no fields x, y and z; there: x y u"),
    "no data": ("FIELDS x y z\n", "its header has no DATA"),
    "entry": ("FIELD x y z\n", "line 1: 'FIELD' is no entry"),
    "line": (header(2, "ascii") + "1 2 3\n1 2 x\n", "line 9: 'x' is no number"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_read_cloud_wrong_file(tmp_path: Path, case: str) -> None:
    text, message = BROKEN[case]
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "a.pcd"))


def test_read_cloud_compressed_sizes_are_checked_first(tmp_path: Path) -> None:
    text = header(40_000_000, "binary_compressed")
    with pytest.raises(DataError, match=r"9 compressed bytes should hold 480,000,000"):
        read(tmp_path, text, struct.pack("<II", 9, 480_000_000) + b"\0" * 9)
    with pytest.raises(DataError, match=r"truncated: 9 of 900 bytes"):
        read(tmp_path, text, struct.pack("<II", 900, 480_000_000) + b"\0" * 9)
    with pytest.raises(DataError, match="compressed points are damaged"):
        read(tmp_path, header(2, "binary_compressed"), struct.pack("<II", 9, 24) + b"\xff" * 9)
