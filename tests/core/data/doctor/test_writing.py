"""Files of repaired clouds, read again by spa3d's reader and byte by byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spa3d.data.doctor.writing import write_cloud
from spa3d.data.formats.contract import Cloud
from spa3d.data.formats.read import read_cloud
from spa3d.errors import OutputError


def test_npy_keeps_points_and_colors(table: Cloud, tmp_path: Path) -> None:
    assert write_cloud(table, tmp_path / "a.npy") == []
    again = read_cloud(tmp_path / "a.npy")
    np.testing.assert_array_equal(again.points, table.points.astype(np.float32))
    np.testing.assert_array_equal(again.colors, table.colors)
    assert again.precision == np.float32
    write_cloud(replace(table, colors=None), tmp_path / "bare.npy")
    assert np.load(tmp_path / "bare.npy").shape == (6000, 3)


def test_far_coordinates_are_written_as_float64(table: Cloud, tmp_path: Path) -> None:
    far = replace(table, points=table.points + 5e6)
    write_cloud(far, tmp_path / "far.npy")
    np.testing.assert_array_equal(read_cloud(tmp_path / "far.npy").points, far.points)
    write_cloud(far, tmp_path / "far.ply")
    assert b"property double x" in (tmp_path / "far.ply").read_bytes()[:200]


def test_ply_bytes(tmp_path: Path) -> None:
    points, normals = np.array([[0.0, 1, -2], [0.5, 0, 0]]), np.array([[0, 1, 0], [1, 0, 0]], np.float32)
    colors = np.array([[0, 0.5, 1], [1, 0, 0]], np.float32)
    lines = write_cloud(Cloud(points, colors, normals), tmp_path / "a.ply")
    assert lines == ["rounded the colors to 256 levels, as PLY stores them"]
    header, _, body = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    assert header.decode().split("\n") == [
        "ply", "format binary_little_endian 1.0", "element vertex 2", "property float x", "property float y",
        "property float z", "property float nx", "property float ny", "property float nz", "property uchar red",
        "property uchar green", "property uchar blue", "",
    ]  # fmt: skip
    first = np.array([0, 1, -2, 0, 1, 0], "<f4").tobytes() + bytes([0, 128, 255])
    assert body == first + np.array([0.5, 0, 0, 1, 0, 0], "<f4").tobytes() + bytes([255, 0, 0])


def test_an_existing_file_and_other_endings_are_refused(table: Cloud, tmp_path: Path) -> None:
    (tmp_path / "there.npy").write_text("mine")
    with pytest.raises(OutputError, match="exists; nothing is overwritten"):
        write_cloud(table, tmp_path / "there.npy")
    assert (tmp_path / "there.npy").read_text() == "mine"
    with pytest.raises(OutputError, match=r"written as \.npy or \.ply"):
        write_cloud(table, tmp_path / "a.obj")
    with pytest.raises(OutputError, match="cannot be written"):
        write_cloud(table, tmp_path / "no" / "a.npy")
