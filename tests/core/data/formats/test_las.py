import struct
from collections.abc import Callable
from pathlib import Path

import laspy
import numpy as np
import pytest

import spa3d
from spa3d.errors import DataError

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
SHIFT = np.array([5e5, 5.4e6, 100])


@pytest.mark.parametrize("name", ["a.las", "a.laz"])
def test_read_cloud_equals_what_laspy_wrote(name: str, sample: Sample, write_sample: Callable[[str], Path]) -> None:
    cloud = spa3d.read_cloud(write_sample(name))
    np.testing.assert_allclose(cloud.points, sample[0] + SHIFT, atol=6e-5)  # half of the scale of the file
    np.testing.assert_allclose(cloud.colors, sample[1] / 255, atol=1e-6)
    assert cloud.notes == ()
    assert cloud.to_array().dtype == np.float64


@pytest.mark.parametrize(("version", "kind"), [("1.2", 0), ("1.2", 2), ("1.3", 3), ("1.4", 6), ("1.4", 8)])
@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_read_cloud_versions_and_point_formats(tmp_path: Path, version: str, kind: int, suffix: str) -> None:
    las = laspy.create(point_format=kind, file_version=version)
    las.header.scales = [0.5] * 3
    las.x, las.y, las.z = np.arange(180_000).reshape(60_000, 3).T  # more than one chunk of LAZ
    if kind in (2, 3, 8):
        las.red = np.arange(60_000) % 256
    las.write(str(tmp_path / f"a{suffix}"))
    cloud = spa3d.read_cloud(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(cloud.points, np.arange(180_000).reshape(60_000, 3))
    if kind in (0, 6):
        assert cloud.colors is None
    else:
        np.testing.assert_allclose(cloud.colors[:, 0] * 255, np.arange(60_000) % 256, atol=1e-4)
        assert cloud.notes == ("colors are bytes in 16 bits (largest 255): taken as 0-255",)


def test_read_cloud_colors_that_are_all_zero_are_none(tmp_path: Path) -> None:
    las = laspy.create(point_format=2, file_version="1.2")
    las.x = [1.0, 2.0]
    las.write(str(tmp_path / "a.las"))
    cloud = spa3d.read_cloud(tmp_path / "a.las")
    assert cloud.colors is None
    assert "all colors are 0" in cloud.notes[0]


def patch(path: Path, position: int, value: bytes) -> Path:
    raw = bytearray(path.read_bytes())
    raw[position : position + len(value)] = value
    path.write_bytes(raw)
    return path


def test_read_cloud_counts_are_compared_with_the_size(write_sample: Callable[[str], Path]) -> None:
    path = patch(write_sample("a.las"), 247, struct.pack("<Q", 40_000_000))  # LAS 1.4 has its count there
    with pytest.raises(DataError, match=r"a\.las: truncated: 60 of 40,000,000 points are there; copy it again"):
        spa3d.read_cloud(path)
    with pytest.raises(DataError, match="99,000,000 points; thin them out to at most 50,000,000"):
        spa3d.read_cloud(patch(path, 247, struct.pack("<Q", 99_000_000)))
    path = patch(write_sample("a.laz"), 247, struct.pack("<Q", 40_000_000))
    with pytest.raises(DataError, match="truncated: its header promises 40,000,000 points"):
        spa3d.read_cloud(path)


def test_read_cloud_sizes_inside_of_laz_are_checked(write_sample: Callable[[str], Path]) -> None:
    path = write_sample("a.laz")
    (start,) = struct.unpack_from("<I", path.read_bytes(), 96)
    chunk = start + 8 + 36  # behind the position of the table and the first point, which has 30 bytes and a color
    with pytest.raises(DataError, match=r"damaged \(the chunks have 61 points, the header 60\)"):
        spa3d.read_cloud(patch(path, chunk, struct.pack("<I", 61)))
    patch(path, chunk, struct.pack("<I", 60))
    with pytest.raises(DataError, match=r"damaged \(a chunk reaches beyond the last one\)"):
        spa3d.read_cloud(patch(path, chunk + 4, struct.pack("<I", 1 << 31)))
    path = write_sample("a.laz")
    (table,) = struct.unpack_from("<q", path.read_bytes(), start)
    with pytest.raises(DataError, match=r"damaged \(3,000,000,000 chunks do not fit in the file\)"):
        spa3d.read_cloud(patch(path, table + 4, struct.pack("<I", 3_000_000_000)))
    with pytest.raises(DataError, match="its table of chunks is outside of the file"):
        spa3d.read_cloud(patch(path, start, struct.pack("<q", 1 << 40)))
