"""Check of the sizes inside a LAZ file before it is decompressed.

lazrs allocates what the file says, gigabytes for one wrong byte, and ends the whole process where that fails.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from spa3d.errors import DataError

_ITEMS = 34
"""Position of the list of items in the record of the compressor."""
_LAYERS = {10: 9, 11: 1, 12: 2, 13: 1}
"""Layers of a chunk by the type of the item: point, RGB, RGB with infrared, wave packet."""
_EXTRA_BYTES = 14
"""Item of extra bytes with a layer each."""


def check_chunks(file: BinaryIO, header: Any, size: int, where: str) -> None:
    """Follow the chunks of a LAZ file, and compare their sizes with that of the file.

    Args:
        file: the file; its position is kept.
        header: laspy's header, before laspy has begun to decompress.
        size: bytes of the file.
        where: location of the cloud, for messages.

    Raises:
        DataError: sizes that do not fit the file.

    """
    position = file.tell()
    record = bytes(header.vlrs.get("LasZipVlr")[0].record_data)
    start = header.offset_to_point_data
    try:
        layers = _count_layers(record, header.point_format.size)
        table = _find_table(file, start, size)
        if layers:
            _follow(file, range(start + 8, table), header.point_format.size, layers, header.point_count)
    except (ValueError, struct.error) as error:
        raise DataError(f"{where}: the compressed points are damaged ({error}); copy it again.") from error
    file.seek(position)


def _count_layers(record: bytes, point_size: int) -> int:
    """Number of layers of a chunk; 0 in point formats before 6, which have none."""
    (count,) = struct.unpack_from("<H", record, _ITEMS - 2)
    items = [struct.unpack_from("<HHH", record, _ITEMS + 6 * index) for index in range(count)]
    if sum(item_size for _, item_size, _ in items) != point_size:
        raise ValueError("the compressor has points of another size")
    return sum(item_size if kind == _EXTRA_BYTES else _LAYERS.get(kind, 0) for kind, item_size, _ in items)


def _find_table(file: BinaryIO, start: int, size: int) -> int:
    """Position of the table of chunks, behind the last chunk."""
    file.seek(start)
    (table,) = struct.unpack("<q", file.read(8))
    if table == -1:  # written to a stream: the position is at the end
        file.seek(size - 8)
        (table,) = struct.unpack("<q", file.read(8))
    if not start + 8 <= table <= size - 8:
        raise ValueError("its table of chunks is outside of the file")
    file.seek(table + 4)
    (chunks,) = struct.unpack("<I", file.read(4))
    if chunks > table - start:
        raise ValueError(f"{chunks:,} chunks do not fit in the file")
    return table


def _follow(file: BinaryIO, chunks: range, point_size: int, layers: int, points: int) -> None:
    """Go from chunk to chunk: a point, number of points, sizes of the layers, layers."""
    at, there = chunks.start, 0
    while at < chunks.stop:
        file.seek(at + point_size)
        count, *sizes = struct.unpack(f"<{1 + layers}I", file.read(4 + 4 * layers))
        at += point_size + 4 + 4 * layers + sum(sizes)
        there += count
        if at > chunks.stop:
            raise ValueError("a chunk reaches beyond the last one")
    if there != points:
        raise ValueError(f"the chunks have {there:,} points, the header {points:,}")
