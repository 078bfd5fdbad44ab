"""Reader of laser scans in LAS and LAZ files, through laspy and lazrs."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spa3d.data.formats.cloud_buffer import BLOCK, CloudBuffer, refuse_many
from spa3d.data.formats.contract import Cloud, CloudFormat, Reading, divide_colors, import_reader
from spa3d.data.formats.laz_checks import check_chunks
from spa3d.errors import DataError
from spa3d.runtime.paths import open_file

_HEADER = 227
"""Bytes of the shortest header, that of LAS 1.2."""
_MOST_RATIO = 1000
"""Most points per byte of a LAZ file; repeated points take about a bit each."""
_COLORS = ("red", "green", "blue")


def _read(path: Path, reading: Reading) -> Cloud:
    laspy = import_reader("laspy", reading.where)
    with open_file(path, reading.where, DataError) as file:
        size = path.stat().st_size
        _check_size(file, size, reading.where)
        try:
            return _read_points(laspy, file, size, reading.where)
        except DataError:
            raise
        except BaseException as error:  # lazrs panics with an exception that is no Exception
            if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
                raise
            text = "the file is damaged or of an unknown version; copy it again"
            raise DataError(f"{reading.where}: {text} ({type(error).__name__}: {error}).") from error


FORMAT = CloudFormat("LAS", (".las", ".laz"), _read, "LAS and LAZ 1.2 to 1.4: scaled coordinates, colors")


def _check_size(file: BinaryIO, size: int, where: str) -> None:
    """Compare the numbers of the header with the size of the file, before anything is allocated."""
    head = file.read(_HEADER + 28).ljust(_HEADER + 28, b"\0")
    file.seek(0)
    if size < _HEADER or not head.startswith(b"LASF"):
        raise DataError(f"{where}: {'truncated inside its header' if size else 'an empty file'}; copy it again.")
    header_size, offset, records, kind, length, points = struct.unpack_from("<HIIBHI", head, 94)
    if head[24:26] >= b"\x01\x04":
        points = max(points, struct.unpack_from("<Q", head, 247)[0])
    refuse_many(points, where)
    available = max(size - offset, 0)
    is_compressed = bool(kind & 0x80)
    if header_size > size or offset > size or records * 54 > size:
        raise DataError(f"{where}: its header names {offset:,} bytes before the points, the file has {size:,}.")
    if is_compressed and points > available * _MOST_RATIO:
        raise DataError(f"{where}: truncated: its header promises {points:,} points, {available:,} bytes follow.")
    if not is_compressed and points * length > available:
        there = available // length
        raise DataError(f"{where}: truncated: {there:,} of {points:,} points are there; copy it again.")


def _read_points(laspy: Any, file: BinaryIO, size: int, where: str) -> Cloud:
    with laspy.open(file, closefd=False, read_evlrs=False, laz_backend=laspy.LazBackend.Lazrs) as reader:
        header = reader.header
        if header.are_points_compressed and header.point_count:
            check_chunks(file, header, size, where)
        has_color = set(_COLORS) <= set(header.point_format.dimension_names)
        buffer = CloudBuffer(header.point_count, colors=has_color)
        for block in reader.chunk_iterator(BLOCK):
            points = np.stack([block.x, block.y, block.z], axis=1)
            buffer.add(points, np.stack([block[name] for name in _COLORS], axis=1) if has_color else None)
    if buffer.used < header.point_count:
        text = f"{buffer.used:,} of {header.point_count:,} points are there"
        raise DataError(f"{where}: truncated: {text}; copy it again.")
    cloud = buffer.build()
    return cloud if cloud.colors is None else _scale(cloud.points, cloud.colors)


def _scale(points: np.ndarray, stored: np.ndarray) -> Cloud:
    """Scale colors, which are 16 bits by the standard; many programs store bytes in them."""
    high = stored.max(initial=0)
    if not high:
        return Cloud(points).note("all colors are 0, as in files without color; they are left out")
    top = 65535 if high > 255 else 255
    scaled = Cloud(points, divide_colors(stored, top))
    return scaled if top > 255 else scaled.note(f"colors are bytes in 16 bits (largest {high:.0f}): taken as 0-255")
