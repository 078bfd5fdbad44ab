"""Reader of STL meshes, ASCII and binary: points drawn from the triangles."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt16

from spa3d.data.formats.contract import MOST_POINTS, Cloud, CloudFormat, Reading
from spa3d.data.formats.mesh_sampling import Surface, draw_points
from spa3d.data.formats.side_files import read_whole
from spa3d.data.formats.tables import parse_table
from spa3d.errors import DataError

_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("color", "<u2")])
_START = 84
"""Bytes before the triangles of a binary file: a text of 80, and their number."""
_VERTEX = re.compile(rb"^[ \t]*vertex[ \t]([^\n]*)", re.MULTILINE | re.IGNORECASE)
_FACET = re.compile(rb"^[ \t]*facet\b", re.MULTILINE | re.IGNORECASE)
_END = re.compile(rb"^[ \t]*endsolid\b", re.MULTILINE | re.IGNORECASE)


def _read_cloud(path: Path, reading: Reading) -> Cloud:
    data = read_whole(path, reading.where)
    count = int.from_bytes(data[80:_START], "little")
    if len(data) >= _START and len(data) == _START + count * _RECORD.itemsize:
        return replace(draw_points([_read_binary(data)], reading), precision=np.dtype(np.float32))
    if data[:2048].lstrip().lower().startswith(b"solid") and (b"facet" in data[:4096].lower() or _END.search(data)):
        return draw_points([_read_ascii(data, reading.where)], reading)
    stated = _START + count * _RECORD.itemsize
    if len(data) < _START:
        raise DataError(f"{reading.where}: {len(data)} bytes are no STL mesh; copy it again.")
    raise DataError(
        f"{reading.where}: its header says {count:,} triangles, which take {stated:,} bytes, but it has {len(data):,}; "
        "copy or export it again."
    )


FORMAT = CloudFormat("STL", (".stl",), _read_cloud, "a mesh, ASCII or binary, with face colors of binary files")


def _read_binary(data: bytes) -> Surface:
    triangles = np.frombuffer(data, _RECORD, offset=_START)
    return Surface(
        triangles["corners"].reshape(-1, 3),
        np.arange(3 * len(triangles)).reshape(-1, 3),
        face_colors=_face_colors(triangles["color"], data[:80]),
    )


def _face_colors(stored: UInt16[np.ndarray, " F"], header: bytes) -> Float[np.ndarray, "F 3"] | None:
    """Colors of 15 bits, as VisCAM or as Magics stores them; None if the file has none."""
    bits = np.stack([stored >> shift & 31 for shift in (10, 5, 0)], 1).astype(np.float32) / np.float32(31)
    own = stored >> 15 == 1
    position = header.find(b"COLOR=")
    if position >= 0:  # Magics: red in the low bits, and the highest bit stands for the color of the object
        whole = np.frombuffer(header[position + 6 :].ljust(3, b"\xff")[:3], np.uint8) / np.float32(255)
        return np.where(own[:, None], whole, bits[:, ::-1]).astype(np.float32)
    return np.where(own[:, None], bits, np.float32(1)) if own.any() else None


def _read_ascii(data: bytes, where: str) -> Surface:
    data = data.replace(b"\r", b"\n")
    if not _END.search(data, data.lower().rfind(b"endsolid") - 256 if len(data) > 256 else 0):
        raise DataError(f"{where}: truncated: no endsolid at its end; copy it again.")
    corners, facets = _VERTEX.findall(data), len(_FACET.findall(data))
    if len(corners) != 3 * facets:
        raise DataError(f"{where}: {len(corners)} vertices in {facets} facets of three; the file is damaged.")
    if facets > MOST_POINTS:
        raise DataError(f"{where}: {facets:,} triangles; simplify the mesh to {MOST_POINTS:,}.")
    vertices = parse_table(corners) if corners else np.empty((0, 3))
    if vertices is None or vertices.shape[1] != 3:
        raise DataError(f"{where}: a vertex that is no three numbers; export it again.")
    return Surface(vertices, np.arange(len(vertices)).reshape(-1, 3))
