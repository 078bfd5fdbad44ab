"""Writers of repaired clouds: NumPy arrays and binary PLY."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spa3d.data.cloud_checks import cloud_radius
from spa3d.data.formats.contract import Cloud
from spa3d.errors import OutputError

SUFFIXES = (".npy", ".ply")
"""Endings of the files that can be written."""
FINE = 1e-6
"""Largest rounding error of float32, as a share of the radius, with which a cloud is written as float32."""


def refuse_other_suffix(path: Path) -> None:
    """Raise `OutputError` if no cloud can be written to a file of this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: a repaired cloud is written as {' or '.join(SUFFIXES)}; choose such a name")


def write_cloud(cloud: Cloud, path: Path) -> list[str]:
    """Write a valid cloud; returns a line for each thing that the file cannot hold.

    Coordinates are float32 where that holds them, else float64. A ``.npy`` file is ``(N, 6)`` or ``(N, 3)``.

    Raises:
        OutputError: the file exists, cannot be written, or has another ending.

    """
    refuse_other_suffix(path)
    digits: np.dtype[Any] = np.dtype(np.float32 if _is_fine(cloud.points) else np.float64)
    try:
        with path.open("xb") as file:
            if path.suffix.lower() == ".npy":
                columns = [cloud.points] if cloud.colors is None else [cloud.points, cloud.colors]
                np.save(file, np.concatenate(columns, axis=1, dtype=digits), allow_pickle=False)
                return (
                    ["left the normals out, for which a .npy cloud has no columns"] if cloud.normals is not None else []
                )
            file.write(_make_ply_header(cloud, digits).encode("ascii"))
            file.write(_make_ply_rows(cloud, digits).tobytes())
            return ["rounded the colors to 256 levels, as PLY stores them"] if cloud.colors is not None else []
    except FileExistsError as error:
        raise OutputError(f"{path}: exists; nothing is overwritten, choose another name") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def _is_fine(points: np.ndarray) -> bool:
    """Whether float32 holds the coordinates."""
    largest = np.float32(np.abs(points).max(initial=0))
    radius = cloud_radius(points - points.mean(axis=0)) if len(points) else 0.0
    return bool(float(np.spacing(largest)) / 2 <= FINE * radius)


def _make_ply_header(cloud: Cloud, digits: np.dtype[Any]) -> str:
    kind = "float" if digits.itemsize == 4 else "double"
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(cloud)}"]
    lines += [f"property {kind} {name}" for name in ("x", "y", "z")]
    lines += [f"property float {name}" for name in ("nx", "ny", "nz") if cloud.normals is not None]
    lines += [f"property uchar {name}" for name in ("red", "green", "blue") if cloud.colors is not None]
    return "\n".join([*lines, "end_header", ""])


def _make_ply_rows(cloud: Cloud, digits: np.dtype[Any]) -> np.ndarray:
    parts: list[tuple[str, np.dtype[Any], np.ndarray]] = [("xyz", digits.newbyteorder("<"), cloud.points)]
    if cloud.normals is not None:
        parts.append(("normal", np.dtype("<f4"), cloud.normals))
    if cloud.colors is not None:
        parts.append(("rgb", np.dtype("u1"), np.round(np.clip(cloud.colors, 0, 1) * 255)))
    rows = np.zeros(len(cloud), np.dtype([(name, kind, (3,)) for name, kind, _ in parts]))
    for name, _, values in parts:
        rows[name] = values
    return rows
