import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import spa3d
from spa3d.data.formats.read import FORMATS, find_format, parse_cloud
from spa3d.errors import DataError


def test_formats_share_no_suffix() -> None:
    suffixes = [suffix for each in FORMATS for suffix in each.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)


def test_find_format_ignores_the_case_of_a_suffix() -> None:
    assert find_format(Path("A.PLY")) is find_format(Path("a.ply"))
    assert find_format(Path("ply")) is None


@pytest.mark.parametrize("name", ["a.jpg", "ply"])
def test_read_cloud_unknown_ending_names_the_known_ones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"1 2 3")
    with pytest.raises(
        DataError, match=r"(no format has the ending \.jpg|without an ending); possible: \.ply, .*\.npy"
    ):
        spa3d.read_cloud(tmp_path / name)


def test_read_cloud_missing_file_or_folder(tmp_path: Path) -> None:
    (tmp_path / "folder.ply").mkdir()
    with pytest.raises(DataError, match=r"a\.ply: cannot be read: no such file"):
        spa3d.read_cloud(tmp_path / "a.ply")
    with pytest.raises(DataError, match=r"folder\.ply: cannot be read: it is a folder"):
        spa3d.read_cloud(tmp_path / "folder.ply")


LIBRARIES = {"little.ply": "plyfile", "binary.pcd": "pypcd4", "a.las": "laspy", "a.e57": "pye57"}


@pytest.mark.parametrize("name", LIBRARIES)
def test_read_cloud_without_the_extra_names_its_command(
    name: str, write_sample: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sample(name)
    monkeypatch.setitem(sys.modules, LIBRARIES[name], None)
    with pytest.raises(
        DataError, match=rf"needs {LIBRARIES[name]} .*; install it with: pip install 'spa3d\[formats\]'"
    ):
        spa3d.read_cloud(path)


def test_read_cloud_of_arrays_and_text_needs_no_extra(
    write_sample: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_sample(name) for name in ("a.npz", "a.pt", "a.csv")]
    for library in (*LIBRARIES.values(), "lzf", "lazrs", "trimesh", "DracoPy"):
        monkeypatch.setitem(sys.modules, library, None)
    assert [len(spa3d.read_cloud(path)) for path in paths] == [60, 60, 60]


def test_read_cloud_clips_rounding_errors_and_parse_cloud_does_not(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[0, 0, 0, 1.0004, 0, 0], [1, 1, 1, 0, 0, 0]]))
    assert spa3d.read_cloud(tmp_path / "a.npy").colors.max() == 1
    assert parse_cloud(tmp_path / "a.npy").colors.max() > 1


def test_to_array_leaves_the_cloud_as_it_is(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[0, 0, 0, 1.0004, 0, 0], [1, 1, 1, 0, 0, 0]], np.float32))
    cloud = parse_cloud(tmp_path / "a.npy")
    array = cloud.to_array(where="here")
    assert array.dtype == np.float32
    assert array[0, 3] == 1
    assert cloud.colors.max() > 1


def test_finish_counts_points_that_are_not_finite_over_all_blocks() -> None:
    points = np.random.default_rng(0).random((600_000, 3))
    points[[300_000, 599_999], 1] = np.nan
    with pytest.raises(DataError, match="NaN or infinity in 2 of 600000 points, first in point 300000"):
        spa3d.Cloud(points, source="a.ply").finish()


def test_read_cloud_of_a_million_points_holds_no_copies(tmp_path: Path) -> None:
    fields = [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")] + [(name, "u1") for name in ("r", "g", "b")]
    lines = "".join(f"property {'float' if kind == '<f4' else 'uchar'} {name}\n" for name, kind in fields)
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex 1000000\n{lines}end_header\n"
    rows = np.zeros(1_000_000, fields)
    rows["x"] = np.arange(1_000_000)
    (tmp_path / "a.ply").write_bytes(head.encode() + rows.tobytes())
    del rows
    tracemalloc.start()
    cloud = spa3d.read_cloud(tmp_path / "a.ply")
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(cloud) == 1_000_000
    assert kept > 48e6  # coordinates 24 bytes, colors 12, normals 12
    assert peak < 48e6 + 40e6  # a block of the file and of the checks; two copies of the points would be 48e6 more
