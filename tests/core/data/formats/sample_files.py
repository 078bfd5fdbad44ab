"""Small valid files of every point format, made for the tests of the readers."""

from __future__ import annotations

from pathlib import Path

import laspy
import numpy as np
import pye57
import pypcd4
import torch
from plyfile import PlyData, PlyElement

POINTS = 60


def sample(points: int = POINTS, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates, byte colors and unit normals."""
    generator = np.random.default_rng(seed)
    xyz = generator.normal(size=(points, 3)).astype(np.float32)
    normals = generator.normal(size=(points, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return xyz, generator.integers(0, 256, (points, 3)).astype(np.uint8), normals.astype(np.float32)


def write_ply(path: Path, *, text: bool = False, byte_order: str = "<", faces: bool = False) -> None:
    """Write a PLY file with plyfile."""
    xyz, rgb, normals = sample()
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
    xyz, rgb, _ = sample()
    packed = pypcd4.PointCloud.encode_rgb(rgb)
    cloud = pypcd4.PointCloud.from_xyzrgb_points(np.column_stack([xyz, packed]))
    cloud.save(path, encoding=pypcd4.Encoding(encoding))


def write_las(path: Path) -> None:
    """Write a LAS file, or a LAZ file by its name."""
    xyz, rgb, _ = sample()
    las = laspy.create(point_format=7, file_version="1.4")
    las.header.scales, las.header.offsets = [1e-4] * 3, [5e5, 5.4e6, 0]
    las.x, las.y, las.z = (xyz.astype(np.float64) + np.array([5e5, 5.4e6, 100])).T
    las.red, las.green, las.blue = rgb.T.astype(np.uint16) * 257
    las.write(str(path))


def write_e57(path: Path) -> None:
    """Write an E57 file of one scan with colors."""
    xyz, rgb, _ = sample()
    names = ("cartesianX", "cartesianY", "cartesianZ", "colorRed", "colorGreen", "colorBlue")
    columns = (*xyz.T.astype(np.float64), *rgb.T)
    file = pye57.E57(str(path), mode="w")
    file.write_scan_raw({name: np.ascontiguousarray(column) for name, column in zip(names, columns, strict=True)})
    file.close()


def write_text(path: Path) -> None:
    """Write a table with a header."""
    xyz, rgb, _ = sample()
    lines = [",".join(map(repr, row)) for row in np.column_stack([xyz, rgb]).tolist()]
    path.write_text("\n".join(["x,y,z,r,g,b", *lines, ""]), encoding="utf-8")


def write_npz(path: Path) -> None:
    """Write an archive with points and colors."""
    xyz, rgb, normals = sample()
    np.savez(path, points=xyz, colors=rgb, normals=normals)


def write_pt(path: Path) -> None:
    """Write a dict of tensors."""
    xyz, rgb, _ = sample()
    torch.save({"xyz": torch.from_numpy(xyz), "rgb": torch.from_numpy(rgb)}, path)


def write_all(folder: Path) -> list[Path]:
    """Write a file of each format and kind."""
    write_ply(folder / "binary.ply")
    write_ply(folder / "big.ply", byte_order=">")
    write_ply(folder / "text.ply", text=True)
    write_ply(folder / "faces.ply", faces=True)
    write_ply(folder / "textfaces.ply", text=True, faces=True)
    for encoding in ("ascii", "binary", "binary_compressed"):
        write_pcd(folder / f"{encoding}.pcd", encoding)
    write_las(folder / "a.las")
    write_las(folder / "a.laz")
    write_e57(folder / "a.e57")
    write_text(folder / "a.csv")
    write_npz(folder / "a.npz")
    write_pt(folder / "a.pt")
    np.save(folder / "a.npy", sample()[0])
    return sorted(folder.iterdir())
