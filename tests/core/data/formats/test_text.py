import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spa3d
from spa3d.errors import DataError

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
RGB = "0 0 0 255 0 51\n1 2 3.5 0 0 0\n"
POINTS = [[0, 0, 0], [1, 2, 3.5]]
COLORS = [[1, 0, 0.2], [0, 0, 0]]


def read(path: Path, text: str | bytes, suffix: str = ".xyz") -> spa3d.Cloud:
    file = path / f"a{suffix}"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return spa3d.read_cloud(file)


def test_read_cloud_equals_what_was_written(sample: Sample, write_sample: Callable[[str], Path]) -> None:
    cloud = spa3d.read_cloud(write_sample("a.csv"))
    np.testing.assert_array_equal(cloud.points, sample[0].astype(np.float64))
    np.testing.assert_array_equal(cloud.colors, sample[1] / np.float32(255))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(*[st.floats(-1e6, 1e6).map(lambda value: round(value, 3))] * 3), min_size=1, max_size=8),
    separator=st.sampled_from([" ", "\t", ",", ";", "  ", ", ", " ; "]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.sampled_from(["", "\ufeff"]),
)
def test_read_cloud_any_numbers_separator_and_line_end(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[float, ...]],
    separator: str,
    newline: str,
    mark: str,
) -> None:
    lines = [separator.join(map(repr, row)) for row in rows]
    cloud = read(tmp_path_factory.getbasetemp(), mark + newline.join(lines))
    np.testing.assert_array_equal(cloud.points, rows)
    assert cloud.notes == ("columns guessed: x y z",)


@pytest.mark.parametrize(
    "text",
    [
        RGB,
        "# a scan\n//made by hand\n" + RGB,
        RGB.replace(" ", ","),
        RGB.replace(" ", ";").replace(".", ","),
        RGB.replace("\n", ";\n").replace(" ", ";"),
        "0,0 0,0 0,0 255 0 51\r\n\r\n1 2 3,5 0 0 0\n",
        "2\n" + RGB,
        "2\nan atom\n" + RGB,
        "//X Y Z R G B\n" + RGB,
        "# x y z red green blue\n" + RGB,
        "sep=;\nx;y;z;r;g;b\n" + RGB.replace(" ", ";"),
        '"x","y","z","r","g","b"\n' + RGB.replace(" ", ","),
        "X [m];Y [m];Z [m];Rf;Gf;Bf\n" + RGB.replace(" ", ";"),
        "b g r z y x\n51 0 255 0 0 0 # first\n0 0 0 3.5 2 1\n",
    ],
)
def test_read_cloud_writings_of_one_cloud(tmp_path: Path, text: str) -> None:
    cloud = read(tmp_path, text)
    np.testing.assert_array_equal(cloud.points, POINTS)
    np.testing.assert_allclose(cloud.colors, COLORS)
    assert cloud.notes[-1] == "colors taken as 0-255, as they are whole numbers up to 255"


def test_read_cloud_utf16(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, RGB.encode("utf-16")).points, POINTS)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ("1 2 3 0.5\n4 5 6 -700\n", "x y z intensity (intensity not used)"),
        ("1 2 3 0 0 1\n4 5 6 0.6 -0.8 0\n", "x y z nx ny nz"),
        ("1 2 3 0.5 0.2 1\n4 5 6 0.6 0.8 0.9\n", "x y z red green blue"),
        ("1 2 3 -900 9 8 7\n4 5 6 -800 255 0 1\n", "x y z intensity red green blue (intensity not used)"),
        ("1 2 3 9 8 7 0.25\n4 5 6 255 0 1 -1.5\n", "x y z red green blue intensity (intensity not used)"),
        ("1 2 3 0 0 1 5\n4 5 6 0.6 -0.8 0 6\n", "x y z nx ny nz label (label not used)"),
        ("1 2 3 9 8 7 0 0 1\n4 5 6 255 0 1 0.6 -0.8 0\n", "x y z red green blue nx ny nz"),
        ("1 2 3 0 0 1 9 8 7\n4 5 6 0.6 -0.8 0 255 0 1\n", "x y z nx ny nz red green blue"),
    ],
)
def test_read_cloud_guesses_columns_and_says_so(tmp_path: Path, rows: str, columns: str) -> None:
    cloud = read(tmp_path, rows)
    np.testing.assert_array_equal(cloud.points, [[1, 2, 3], [4, 5, 6]])
    names = columns.partition(" (")[0]
    assert cloud.notes[0].startswith(f"columns guessed: {columns};")
    assert cloud.notes[0].endswith(f"name them in the first line to be sure, as in: {names}")
    assert (cloud.colors is not None) == ("red" in columns)
    assert (cloud.normals is not None) == ("nx" in columns)
    if cloud.colors is not None and "0-255" in cloud.notes[1]:
        np.testing.assert_allclose(cloud.colors * 255, [[9, 8, 7], [255, 0, 1]], atol=1e-4)


def test_read_cloud_says_where_a_guess_is_ambiguous(tmp_path: Path) -> None:
    cloud = read(tmp_path, "1 2 3 10 20 30 40\n4 5 6 50 60 70 80\n", ".pts")
    np.testing.assert_allclose(cloud.colors * 255, [[20, 30, 40], [60, 70, 80]], atol=1e-4)
    assert "could also be x y z red green blue intensity" in cloud.notes[0]
    cloud = read(tmp_path, "x y z r g b i\n1 2 3 10 20 30 40\n4 5 6 50 60 70 80\n", ".pts")
    np.testing.assert_allclose(cloud.colors * 255, [[10, 20, 30], [50, 60, 70]], atol=1e-4)


def test_read_cloud_columns_of_no_known_meaning(tmp_path: Path) -> None:
    cloud = read(tmp_path, "1 2 3 -9 8 7.5\n4 5 6 0 700 1\n")
    assert cloud.colors is None
    assert "columns 4 to 6 are neither colors nor normals and not used" in cloud.notes[0]


def test_read_cloud_color_range_is_that_of_all_lines(tmp_path: Path) -> None:
    lines = ["0 0 0 0 0 0"] * 60_000 + ["1 1 1 255 0 51"]  # the first block is black
    cloud = read(tmp_path, "\n".join(lines))
    np.testing.assert_allclose(cloud.colors[-1], [1, 0, 0.2])
    lines[-1] = "1 1 1 70000 0 51"
    with pytest.raises(DataError, match="colors reach from 0 to 7e"):
        read(tmp_path, "\n".join(lines))


BROKEN = {
    "ragged": ("1 2 3\n\n4 5\n", "line 3: 2 values where 3 belong"),
    "letters": ("1 2 3\n# x\n4 5 six\n", "line 3: 'six' is no number"),
    "underscore": ("1 2 3\n4 5 1_0\n", "line 2: '1_0' is no number"),
    "cell": ("1,2,3\n4,,6\n", "line 2: '(empty)' is no number"),
    "two": ("1 2\n3 4\n", "line 1: 2 values; a point is a line with x, y and z"),
    "prose": ("Dear reader,\nthis is no cloud.\n", "line 1: 'Dear reader,' is neither numbers nor a header"),
    "molecule": ("2\nwater\nO 0 0 0\nH 1 0 0\n", "line 3: 'O' is no number"),
    "header": ("x y z r g b\n1 2 3\n", "line 2: 3 values, but the header names 6 columns"),
    "only a header": ("x y z\n", "a header without a line of numbers"),
    "comments": ("# nothing\n\n", "no line of numbers"),
    "count": ("3\n1 2 3\n4 5 6\n", "truncated: line 1 says 3 points, but 2 follow"),
    "long": ("1 2 3 " * 20_000, "line 1 is too long"),
    "binary": (bytes(range(256)) * 4, "line 1: "),
    "nan": ("1 2 3\nnan 5 6\n", "NaN or infinity in 1 of 2 points, first in point 1"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_read_cloud_wrong_lines(tmp_path: Path, case: str) -> None:
    text, message = BROKEN[case]
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "a.xyz"))
    assert "\n" not in str(caught.value)


def test_read_cloud_more_points_than_stated_are_noted(tmp_path: Path) -> None:
    assert "line 1 says 1 points, but 2 follow" in read(tmp_path, "1\n1 2 3\n4 5 6\n").notes
