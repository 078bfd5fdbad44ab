import contextlib
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spa3d.data.cloud_checks import check, require_points
from spa3d.data.formats.npy import columns, read_npy
from spa3d.errors import DataError


def cloud(points: int = 40) -> np.ndarray:
    return np.random.default_rng(0).random((points, 6)).astype("float32")


def header(descr: str, shape: str, fortran: str = "False") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_read_npy_float32_is_exact(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", cloud())
    read = read_npy(tmp_path / "a.npy", record_id="a")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, cloud())
    read[0] = 0  # the array is the caller's own


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_read_npy_other_dtypes_and_orders(tmp_path: Path, dtype: str, order: str) -> None:
    np.save(tmp_path / "a.npy", np.asarray(cloud().astype(dtype), order=order))
    np.testing.assert_allclose(read_npy(tmp_path / "a.npy", record_id="a"), cloud(), atol=1e-3)


def test_read_npy_three_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", cloud()[:, :3])
    read = read_npy(tmp_path / "a.npy", record_id="a")
    np.testing.assert_array_equal(read[:, :3], cloud()[:, :3])
    assert (read[:, 3:] == 0).all()
    assert columns(tmp_path / "a.npy", record_id="a") == 3
    np.save(tmp_path / "b.npy", cloud())
    assert columns(tmp_path / "b.npy", record_id="b") == 6
    with pytest.raises(DataError, match=r"record b\): 6 columns where other clouds of the data set have 3"):
        read_npy(tmp_path / "b.npy", record_id="b", columns=3)


def test_read_npy_byte_colors(tmp_path: Path) -> None:
    stored = cloud()
    stored[:, 3:] = np.linspace(0, 255, 120).reshape(40, 3)
    np.save(tmp_path / "a.npy", stored)
    read = read_npy(tmp_path / "a.npy", record_id="a", colors="0-255")
    np.testing.assert_allclose(read[:, 3:] * 255, stored[:, 3:], atol=1e-3)
    assert read[-1, 5] == 1


def test_read_npy_clips_rounding_errors(tmp_path: Path) -> None:
    stored = cloud()
    stored[3, 4] = 1.0004
    np.save(tmp_path / "a.npy", stored)
    assert read_npy(tmp_path / "a.npy", record_id="a")[3, 4] == 1


BROKEN: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "no such file"),
    "empty": (b"", "the file is empty"),
    "text": (b"hello, this is no array", "not a .npy file"),
    "pickle": (pickle.dumps([1, 2, 3]), "a pickle, which is never loaded"),
    "archive": (b"PK\x03\x04 and so on", "an archive"),
    "objects": (header("'|O'", "(2, 6)") + pickle.dumps([None]), "pickled objects are never loaded"),
    "truncated": (header("'<f4'", "(40, 6)") + b"\0" * 100, "truncated: 100 of 960 bytes"),
    "cut header": (header("'<f4'", "(40, 6)")[:30], "truncated inside its header"),
    "no header": (header("'<f4'", "(40, 6)")[:10] + b"{" * 200, "header cannot be read"),
    "huge promise": (header("'<f4'", "(10**15, 6)"), "header cannot be read"),
    "huge number": (header("'<f4'", f"({10**15}, 6)"), "truncated: 0 of"),
    "integers": (header("'<i8'", "(1, 6)") + b"\0" * 48, "dtype '<i8'"),
    "records": (header("[('x', '<f4')]", "(1, 6)") + b"\0" * 24, "dtype [('x'"),
    "one axis": (header("'<f4'", "(6,)") + b"\0" * 24, "shape (6,)"),
    "four columns": (header("'<f4'", "(2, 4)") + b"\0" * 32, "shape (2, 4)"),
    "transposed": (header("'<f4'", "(6, 8192)"), "shape (6, 8192)"),
    "no points": (header("'<f4'", "(0, 6)"), "no points"),
}


@pytest.mark.parametrize("error", BROKEN)
def test_read_npy_error_names_file_and_record(tmp_path: Path, error: str) -> None:
    content, message = BROKEN[error]
    path = tmp_path / "lamp_8192.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read_npy(path, record_id="lamp")
    assert str(path) in str(caught.value)
    assert "record lamp" in str(caught.value)
    assert "\n" not in str(caught.value)


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare pickle", "object array"])
def test_read_npy_never_unpickles(tmp_path: Path, wrapped: bool) -> None:
    path, target = tmp_path / "a.npy", tmp_path / "made by the pickle"
    if wrapped:
        np.save(path, np.array([[Bomb(target)] * 6], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Bomb(target)))
    with pytest.raises(DataError, match="never loaded"):
        read_npy(path, record_id="a")
    assert not target.exists()


def spoil(row: int, column: int, value: float) -> np.ndarray:
    array = cloud().astype("float64")
    array[row, column] = value
    return array


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (spoil(7, 1, np.nan), "NaN or infinity in 1 of 40 points, first in point 7"),
        (spoil(0, 4, np.inf), "NaN or infinity in 1 of 40 points, first in point 0"),
        (spoil(2, 0, 1e300), "NaN or infinity in 1 of 40 points, first in point 2"),
        (
            spoil(0, 3, 200.0),
            "colors look like 0-255 (largest 200); divide by 255 or pass --dataset.colors 0-255",
        ),
        (spoil(0, 3, -1.0), "colors reach from -1 to"),
        (spoil(0, 5, 300.0), "colors reach from 0"),
    ],
)
def test_read_npy_rejects_invalid_values(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=re.escape(message)):
        read_npy(tmp_path / "a.npy", record_id="a")


def test_read_npy_rejects_byte_colors_of_a_unit_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", cloud())
    with pytest.raises(DataError, match="colors look like 0-1"):
        read_npy(tmp_path / "a.npy", record_id="a", colors="0-255")
    np.save(tmp_path / "black.npy", np.r_[cloud()[:, :3].T, np.zeros((3, 40), "float32")].T)
    assert (read_npy(tmp_path / "black.npy", record_id="a", colors="0-255")[:, 3:] == 0).all()


def test_require_points_error_names_both_numbers_and_the_component() -> None:
    require_points(cloud(), 40, record_id="a", requested_by="encoder pointnext")
    with pytest.raises(DataError, match=r"record a: 40 points, but encoder pointnext needs at least 41\."):
        require_points(cloud(), 41, record_id="a", requested_by="encoder pointnext")


def test_check_rejects_invalid_arrays() -> None:
    check(cloud(), source="the shapes world", record_id="a")
    check(cloud().astype("float64"), source="", record_id="a")
    for bad in (cloud().astype("int64"), cloud()[:, :3], cloud()[0], cloud() * 300):
        with pytest.raises(DataError, match=r"the shapes world \(record a\)"):
            check(bad, source="the shapes world", record_id="a")


UTM = np.array([502345.5, 5432101.25, 110.0])
"""An offset of geo-referenced scans, in meters; float32 is 0.5 m coarse there."""


def small_object() -> np.ndarray:
    """An object of 30 cm, float64."""
    stored = cloud(512).astype("float64")
    stored[:, :3] = (stored[:, :3] - 0.5) * 0.3
    return stored


@pytest.mark.parametrize("dtype", ["float32", ">f4", "float16"])
def test_read_npy_refuses_coordinates_too_coarse_for_the_extent(tmp_path: Path, dtype: str) -> None:
    stored = small_object()
    stored[:, :3] += 100.0 if dtype == "float16" else UTM
    np.save(tmp_path / "a.npy", stored.astype(dtype))
    message = r"a\.npy \(record a\): float\d\d is too coarse .*: near [\d.e+]+ it rounds by up to 0\.\d"
    with pytest.raises(DataError, match=message):
        read_npy(tmp_path / "a.npy", record_id="a")


def test_check_refuses_coordinates_too_coarse_for_the_extent() -> None:
    moved = small_object()
    moved[:, :3] += UTM
    check(moved, source="", record_id="a")
    with pytest.raises(DataError, match=r"record a: float32 is too coarse .* it rounds by up to 0\.25"):
        check(moved.astype("float32"), source="", record_id="a")


def test_read_npy_keeps_the_digits_of_float64(tmp_path: Path) -> None:
    stored = small_object()
    stored[:, :3] += UTM
    np.save(tmp_path / "a.npy", stored)
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy", record_id="a")[:, :3], stored[:, :3])


@settings(max_examples=300, deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(6, 127), st.integers(0, 255)), max_size=5),
    length=st.integers(0, 128 + 960),
)
def test_read_npy_damaged_file(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int]], length: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.npy"
    np.save(path, cloud())
    raw = bytearray(path.read_bytes())
    for position, value in edits:
        raw[position] = value
    path.write_bytes(raw[:length])
    with contextlib.suppress(DataError):
        assert read_npy(path, record_id="a").shape[1] == 6
