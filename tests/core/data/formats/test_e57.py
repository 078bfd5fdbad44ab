import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pye57
import pytest

import spa3d
from spa3d.errors import DataError

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
AXES = ("cartesianX", "cartesianY", "cartesianZ")
QUARTER_TURN = np.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
"""Quaternion of a turn about z by 90 degrees: x becomes y, y becomes -x."""


def write(path: Path, *scans: tuple[dict[str, np.ndarray], dict[str, Any]]) -> Path:
    file = pye57.E57(str(path), mode="w")
    for values, options in scans:
        file.write_scan_raw(values, **options)
    file.close()
    return path


def scan(points: list[list[float]], **values: Any) -> dict[str, np.ndarray]:
    columns = np.array(points, np.float64).T
    return dict(zip(AXES, map(np.ascontiguousarray, columns), strict=True)) | values


def colors(*rgb: tuple[int, int, int]) -> dict[str, np.ndarray]:
    names = ("colorRed", "colorGreen", "colorBlue")
    return dict(zip(names, np.ascontiguousarray(np.array(rgb, np.uint8).T), strict=True))


def test_read_cloud_equals_what_pye57_wrote(sample: Sample, write_sample: Callable[[str], Path]) -> None:
    cloud = spa3d.read_cloud(write_sample("a.e57"))
    np.testing.assert_allclose(cloud.points, sample[0], atol=1e-6)
    np.testing.assert_allclose(cloud.colors, sample[1] / 255, atol=1e-6)


def test_read_cloud_joins_scans_by_their_poses_without_invalid_points(tmp_path: Path) -> None:
    first = scan([[1, 2, 3], [4, 5, 6], [7, 8, 9]], cartesianInvalidState=np.array([0, 1, 0], np.int8))
    first |= colors((255, 0, 0), (0, 255, 0), (0, 0, 51))
    pose = {"rotation": QUARTER_TURN, "translation": np.array([10.0, 0, 100])}
    cloud = spa3d.read_cloud(write(tmp_path / "a.e57", (first, pose), (scan([[0, 0, 1], [0, 0, 2]]), {})))
    np.testing.assert_allclose(cloud.points, [[8, 1, 103], [2, 7, 109], [0, 0, 1], [0, 0, 2]], atol=1e-6)
    np.testing.assert_allclose(cloud.colors, [[1, 0, 0], [0, 0, 0.2], [0, 0, 0], [0, 0, 0]], atol=1e-6)
    assert cloud.notes == (
        "2 scans are joined, 2 of them moved by their poses",
        "1 of 2 scans have no color; their points are black",
        "1 points that the scanner marked as invalid are left out",
    )


def write_spherical(path: Path) -> Path:
    """Write a scan in spherical coordinates with colors of 16 bits, which pye57 itself cannot."""
    lib, file = pye57.libe57, pye57.E57(str(path), mode="w")
    image = file.image_file
    axes = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")
    names = ("colorRed", "colorGreen", "colorBlue")
    node, prototype = lib.StructureNode(image), lib.StructureNode(image)
    for name in axes:
        prototype.set(name, lib.FloatNode(image, 0.0))
    for name in names:
        prototype.set(name, lib.IntegerNode(image, 0, 0, 65535))
    node.set("guid", lib.StringNode(image, "{1}"))
    points = lib.CompressedVectorNode(image, prototype, lib.VectorNode(image, True))
    node.set("points", points)
    file.data3d.append(node)
    columns = [np.array(each, np.float64) for each in ([2, 2], [0, np.pi / 2], [0, np.pi / 6])]
    columns += [np.array(each, np.float64) for each in ([65535, 0], [0, 13107], [0, 0])]
    buffers = lib.VectorSourceDestBuffer()
    for name, column in zip((*axes, *names), columns, strict=True):
        buffers.append(lib.SourceDestBuffer(image, name, column, 2, True, True))
    writer = points.writer(buffers)
    writer.write(2)
    writer.close()
    file.close()
    return path


def test_read_cloud_spherical_coordinates_and_colors_of_16_bits(tmp_path: Path) -> None:
    cloud = spa3d.read_cloud(write_spherical(tmp_path / "a.e57"))
    np.testing.assert_allclose(cloud.points, [[2, 0, 0], [0, np.sqrt(3), 1]], atol=1e-12)
    np.testing.assert_allclose(cloud.colors, [[1, 0, 0], [0, 0.2, 0]], atol=1e-6)
    assert cloud.notes == ("spherical coordinates of 1 of 1 scans are converted",)


def test_read_cloud_refuses_coordinates_that_float32_has_rounded(tmp_path: Path) -> None:
    points = [[500000, 5400000, 0], [500000.5, 5400000, 0.5]]
    with pytest.raises(DataError, match=r"a\.e57: float32 is too coarse for the coordinates"):
        spa3d.read_cloud(write(tmp_path / "a.e57", (scan(points), {})))
    pose = {"rotation": np.array([1.0, 0, 0, 0]), "translation": np.array(points[0])}
    cloud = spa3d.read_cloud(write(tmp_path / "b.e57", (scan([[0, 0, 0], [0.5, 0, 0.5]]), pose)))
    np.testing.assert_array_equal(cloud.points, points)


def test_read_cloud_damaged_or_no_e57(tmp_path: Path) -> None:
    path = write(tmp_path / "a.e57", (scan([[1, 2, 3], [4, 5, 6]]), {}))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"a\.e57: the file is damaged or no E57 file; copy it again \(size in"):
        spa3d.read_cloud(path)


def test_read_cloud_of_a_path_that_is_no_utf8(tmp_path: Path) -> None:
    path = write(tmp_path / "a.e57", (scan([[1, 2, 3], [4, 5, 6]]), {}))
    with pytest.raises(DataError, match=r"its path is no UTF-8, which the reader of this format needs; rename it"):
        spa3d.read_cloud(path.rename(tmp_path / os.fsdecode(b"\xff.e57")))
