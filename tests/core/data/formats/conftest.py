"""Small valid files of every format of points, written by the libraries of the field."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import laspy
import numpy as np
import pye57
import pypcd4
import pytest
import torch
from plyfile import PlyData, PlyElement

POINTS = 60


def make_sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates, byte colors and unit normals; the last third repeats one point."""
    generator = np.random.default_rng(0)
    rows = np.minimum(np.arange(POINTS), 2 * POINTS // 3)
    xyz = generator.normal(size=(POINTS, 3)).astype(np.float32)[rows]
    normals = generator.normal(size=(POINTS, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return xyz, generator.integers(0, 256, (POINTS, 3)).astype(np.uint8)[rows], normals.astype(np.float32)


def write_ply(path: Path, *, text: bool = False, byte_order: str = "<", faces: bool = False) -> None:
    """Write a PLY file with plyfile."""
    xyz, rgb, normals = make_sample()
    columns = [*xyz.T, *normals.T, *rgb.T]
    names = ["x", "y", "z", "nx", "ny", "nz", "red", "green", "blue"]
    table = np.rec.fromarrays(columns, dtype=[(name, "f4" if name[-1] in "xyz" else "u1") for name in names])
    elements = [PlyElement.describe(np.asarray(table), "vertex")]
    if faces:
        lists = [([0, 1, 2],), ([3, 4, 5, 6],), ([7, 8, 9],)]
        elements.append(PlyElement.describe(np.array(lists, [("vertex_indices", "O")]), "face"))
    PlyData(elements, text=text, byte_order=byte_order).write(str(path))


def write_pcd(path: Path, encoding: str) -> None:
    """Write a PCD file with pypcd4, with colors packed in the bits of a float."""
    xyz, rgb, _ = make_sample()
    packed = pypcd4.PointCloud.encode_rgb(rgb)
    cloud = pypcd4.PointCloud.from_xyzrgb_points(np.column_stack([xyz, packed]))
    cloud.save(path, encoding=pypcd4.Encoding(encoding))


def write_las(path: Path) -> None:
    """Write a LAS file, or a LAZ file by its name."""
    xyz, rgb, _ = make_sample()
    las = laspy.create(point_format=7, file_version="1.4")
    las.header.scales, las.header.offsets = [1e-4] * 3, [5e5, 5.4e6, 0]
    las.x, las.y, las.z = (xyz.astype(np.float64) + np.array([5e5, 5.4e6, 100])).T
    las.red, las.green, las.blue = rgb.T.astype(np.uint16) * 257
    las.write(str(path))


def write_e57(path: Path) -> None:
    """Write an E57 file of one scan with colors."""
    xyz, rgb, _ = make_sample()
    names = ("cartesianX", "cartesianY", "cartesianZ", "colorRed", "colorGreen", "colorBlue")
    columns = (*xyz.T.astype(np.float64), *rgb.T)
    file = pye57.E57(str(path), mode="w")
    file.write_scan_raw({name: np.ascontiguousarray(column) for name, column in zip(names, columns, strict=True)})
    file.close()


def write_text(path: Path) -> None:
    """Write a table with a header."""
    xyz, rgb, _ = make_sample()
    lines = [",".join(map(repr, row)) for row in np.column_stack([xyz, rgb]).tolist()]
    path.write_text("\n".join(["x,y,z,r,g,b", *lines, ""]), encoding="utf-8")


def write_npz(path: Path) -> None:
    """Write an archive with points and colors."""
    xyz, rgb, normals = make_sample()
    np.savez(path, points=xyz, colors=rgb, normals=normals)


def write_pt(path: Path) -> None:
    """Write a dict of tensors."""
    xyz, rgb, _ = make_sample()
    torch.save({"xyz": torch.from_numpy(xyz), "rgb": torch.from_numpy(rgb)}, path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "little.ply": write_ply,
    "big.ply": partial(write_ply, byte_order=">"),
    "text.ply": partial(write_ply, text=True),
    "faces.ply": partial(write_ply, faces=True),
    "text_faces.ply": partial(write_ply, faces=True, text=True),
    "ascii.pcd": partial(write_pcd, encoding="ascii"),
    "binary.pcd": partial(write_pcd, encoding="binary"),
    "compressed.pcd": partial(write_pcd, encoding="binary_compressed"),
    "a.las": write_las,
    "a.laz": write_las,
    "a.e57": write_e57,
    "a.csv": write_text,
    "a.npz": write_npz,
    "a.pt": write_pt,
}


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the files hold: coordinates, byte colors and unit normals."""
    return make_sample()


@pytest.fixture
def write_sample(tmp_path: Path) -> Callable[[str], Path]:
    """Function that writes the file of a name of `WRITERS`."""

    def write(name: str) -> Path:
        WRITERS[name](tmp_path / name)
        return tmp_path / name

    return write
