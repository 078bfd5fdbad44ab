import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import spa3d
from spa3d.errors import DataError

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


def read(path: Path, **arrays: np.ndarray) -> spa3d.Cloud:
    np.savez(path / "a.npz", **arrays)
    return spa3d.read_cloud(path / "a.npz")


def test_read_cloud_equals_what_numpy_wrote(sample: Sample, write_sample: Callable[[str], Path]) -> None:
    cloud = spa3d.read_cloud(write_sample("a.npz"))
    np.testing.assert_array_equal(cloud.points, sample[0].astype(np.float64))
    np.testing.assert_array_equal(cloud.colors, sample[1] / np.float32(255))
    np.testing.assert_array_equal(cloud.normals, sample[2])
    assert cloud.precision == np.float32


@pytest.mark.parametrize("name", ["points", "xyz", "pos", "Coords", "pc", "anything"])
def test_read_cloud_names_of_points(tmp_path: Path, sample: Sample, name: str) -> None:
    np.testing.assert_array_equal(read(tmp_path, **{name: sample[0]}).points, sample[0].astype(np.float64))
    both = np.concatenate([sample[0], sample[1] / 255], axis=1)
    cloud = read(tmp_path, **{name: np.asfortranarray(both)})
    np.testing.assert_allclose(cloud.colors, both[:, 3:], atol=1e-7)


def test_read_cloud_arrays_of_point_e(tmp_path: Path, sample: Sample) -> None:
    red, green, blue = (sample[1] / np.float32(255)).T
    cloud = read(tmp_path, coords=sample[0], R=red, G=green, B=blue, A=red)
    np.testing.assert_array_equal(cloud.colors, sample[1] / np.float32(255))
    assert cloud.notes == ("arrays that are not used: A",)


def test_read_cloud_types_and_turned_arrays(tmp_path: Path, sample: Sample) -> None:
    cloud = read(tmp_path, points=sample[0].T.astype(np.float16), rgb=(sample[1].astype(np.uint16) * 257).T)
    np.testing.assert_allclose(cloud.points, sample[0], atol=2e-3)
    np.testing.assert_allclose(cloud.colors, sample[1] / 255, atol=1e-6)
    assert cloud.notes == ("points was turned from (3, 60) to (60, 3)",)
    cloud = read(tmp_path, points=np.arange(30).reshape(1, 10, 3))
    assert cloud.notes == (
        "points is a batch of one cloud, (1, 10, 3)",
        "coordinates are whole numbers (int64); their unit is taken as 1",
    )


BROKEN = {
    "names": ({"a": np.zeros((2, 3)), "b": np.zeros(2)}, "no array of points; there: a, b; possible names: points"),
    "columns": ({"points": np.zeros((9, 4))}, "the shape (9, 4); a cloud is (N, 6), xyz and rgb, or (N, 3); save the"),
    "axes": ({"points": np.zeros(9)}, "points has the shape (9,)"),
    "type": ({"points": np.zeros((9, 3), "U3")}, "points has the type <U3; points are floats"),
    "colors": ({"points": np.zeros((9, 3)), "colors": np.zeros((8, 3))}, "colors has the shape (8, 3); for 9 points"),
    "pickle": ({"points": np.array([None, {}])}, "only pickled objects, which are never loaded"),
    "nothing": ({}, "an archive without numpy arrays"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_read_cloud_wrong_arrays(tmp_path: Path, case: str) -> None:
    arrays, message = BROKEN[case]
    if not arrays:
        zipfile.ZipFile(tmp_path / "a.npz", "w").writestr("readme.txt", "no arrays")
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(tmp_path, **arrays) if arrays else spa3d.read_cloud(tmp_path / "a.npz")
    assert str(caught.value).startswith(str(tmp_path / "a.npz"))


def header(descr: str, shape: str) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header("<f4", "(40000000, 3)"), "points.npy is truncated: 0 of 480000000 bytes"),
        (header("<f4", "(10**12, 3)"), "the archive is damaged"),
        (header("<f4", "(1000000000000, 3)"), "1,000,000,000,000 points; thin them out"),
        (header("<f4", "(-5, 3)"), "a.npz: "),
        (b"\x93NUMPY\x09\x00", "the archive is damaged"),
        (b"", "the archive is damaged"),
    ],
)
def test_read_cloud_headers_that_lie(tmp_path: Path, content: bytes, message: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("points.npy", content)
    with pytest.raises(DataError, match=re.escape(message)):
        spa3d.read_cloud(tmp_path / "a.npz")


def test_read_cloud_writes_nothing_of_names_that_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "a.npz", "w") as archive:
        archive.writestr("../points.npy", header("<f4", "(2, 3)") + np.arange(6, dtype="<f4").tobytes())
    np.testing.assert_array_equal(spa3d.read_cloud(tmp_path / "in" / "a.npz").points, [[0, 1, 2], [3, 4, 5]])
    assert [each.name for each in tmp_path.rglob("*")] == ["in", "a.npz"]
