"""Bytes of a glTF file: the container, its buffers and its accessors."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import numpy as np

from spa3d.data.formats.contract import MOST_POINTS
from spa3d.data.formats.gltf.document import Accessor, Document, Sparse, parse_document, pick
from spa3d.data.formats.side_files import find_side_file, read_whole
from spa3d.errors import DataError

_MAGIC, _JSON, _BINARY = b"glTF", 0x4E4F534A, 0x004E4942
_TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_EMPTY = 5_000_000
"""Most values of an accessor whose values are not all in the file."""


@dataclass
class GltfFile:
    """An opened file: its JSON, and bytes that are read when they are needed.

    Attributes:
        path: the file.
        where: location for messages.
        document: its JSON.
        binary: bytes of the GLB's own buffer.
        notes: what was left out, a sentence each.

    """

    path: Path
    where: str
    document: Document
    binary: bytes | None
    notes: list[str] = field(default_factory=list)
    _buffers: dict[int, bytes] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Add a note once."""
        if text not in self.notes:
            self.notes.append(text)

    def make_error(self, text: str) -> DataError:
        """Make the error about damaged content."""
        return DataError(f"{self.where}: {text}; the file is damaged, export it again.")

    def read_uri(self, uri: str, what: str) -> bytes:
        """Bytes of a data URI, or of a file beside the mesh."""
        where = f"{self.where}, {what}"
        if not uri.startswith("data:"):
            return read_whole(find_side_file(self.path, unquote(uri), where), where)
        head, comma, payload = uri.partition(",")
        if not comma:
            raise DataError(f"{where}: a data URI without a comma; export it again.")
        if not head.endswith(";base64"):
            return unquote_to_bytes(payload)
        try:
            return base64.b64decode("".join(payload.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise DataError(f"{where}: its base64 text cannot be decoded ({error}); export it again.") from error

    def view(self, index: int) -> bytes | memoryview:
        """Bytes of a buffer view."""
        view = pick(self.document.buffer_views, index, "buffer views", self.where)
        data = self._buffer(view.buffer)
        end = view.byte_offset + view.byte_length
        if end > len(data):
            raise self.make_error(f"buffer view {index} ends at byte {end} of a buffer of {len(data)}")
        return memoryview(data)[view.byte_offset : end]

    def accessor(self, index: int) -> tuple[Accessor, np.ndarray]:
        """An accessor with its values as stored, ``(count, width)``; they may not be written to."""
        accessor = pick(self.document.accessors, index, "accessors", self.where)
        if accessor.count > MOST_POINTS:
            raise DataError(f"{self.where}: accessor {index} has {accessor.count:,} values; possible: {MOST_POINTS:,}.")
        shape, dtype = (accessor.count, _WIDTHS[accessor.type]), np.dtype(_TYPES[accessor.component_type])
        what = f"accessor {index}"
        if accessor.buffer_view is not None:
            values = self._array(accessor.buffer_view, accessor.byte_offset, shape, dtype, what)
        elif accessor.sparse is None or accessor.count > _EMPTY:
            raise self.make_error(f"{what} has no values")
        else:
            values = np.zeros(shape, dtype)
        return accessor, values if accessor.sparse is None else self._replace(values, accessor.sparse, what)

    def _array(self, view: int, offset: int, shape: tuple[int, int], dtype: np.dtype[Any], what: str) -> np.ndarray:
        """Values in a buffer view, without a copy."""
        data, (count, width) = self.view(view), shape
        item = dtype.itemsize * width
        stride = self.document.buffer_views[view].byte_stride or item
        end = offset + (count - 1) * stride + item
        if not count:
            return np.empty(shape, dtype)
        if end > len(data) or stride < item:
            raise self.make_error(f"{what} ends at byte {end} of a buffer view of {len(data)}")
        return np.ndarray(shape, dtype, data, offset, (stride, dtype.itemsize))

    def _replace(self, values: np.ndarray, sparse: Sparse, what: str) -> np.ndarray:
        """Replace some values by those of a sparse accessor."""
        indices, news = sparse.indices, sparse.values
        if indices.component_type not in (5121, 5123, 5125) or sparse.count > len(values):
            raise self.make_error(f"{what} replaces values that it does not have")
        rows = self._array(
            indices.buffer_view, indices.byte_offset, (sparse.count, 1), np.dtype(_TYPES[indices.component_type]), what
        )[:, 0]
        if len(rows) and rows.max() >= len(values):
            raise self.make_error(f"{what} replaces value {rows.max()} of {len(values)}")
        result = values.copy()
        result[rows] = self._array(
            news.buffer_view, news.byte_offset, (sparse.count, values.shape[1]), values.dtype, what
        )
        return result

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            buffer = pick(self.document.buffers, index, "buffers", self.where)
            if buffer.uri is not None:
                data = self.read_uri(buffer.uri, f"buffer {index}")
            elif self.binary is not None and index == 0:
                data = self.binary
            else:
                raise self.make_error(f"buffer {index} is not in the file")
            if len(data) < buffer.byte_length:
                raise DataError(
                    f"{self.where}: buffer {index} has {len(data)} of {buffer.byte_length} bytes; copy the file again."
                )
            self._buffers[index] = data
        return self._buffers[index]


def open_gltf(path: Path, where: str) -> GltfFile:
    """Read JSON and own buffer of a file; raises `DataError` if they are damaged."""
    data = read_whole(path, where)
    if data[:4] == _MAGIC:
        text, binary = _split_glb(data, where)
        return GltfFile(path, where, parse_document(text, where), binary)
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        raise DataError(f"{where}: not a glTF file: neither JSON nor GLB; is it another kind of file?")
    return GltfFile(path, where, parse_document(data, where), None)


def _split_glb(data: bytes, where: str) -> tuple[bytes, bytes | None]:
    """JSON and binary chunk of a GLB."""
    if len(data) < 20:
        raise DataError(f"{where}: truncated inside its header; copy it again.")
    version, length = struct.unpack("<II", data[4:12])
    if version != 2:
        raise DataError(f"{where}: GLB version {version}; convert it to glTF 2.0 first.")
    if length > len(data):
        raise DataError(f"{where}: truncated: {len(data)} of {length} bytes; copy it again.")
    chunks, offset = list[tuple[int, bytes]](), 12
    while offset + 8 <= length and len(chunks) < 2:
        size, kind = struct.unpack("<II", data[offset : offset + 8])
        offset += 8
        if offset + size > length:
            raise DataError(f"{where}: a chunk of {size} bytes, but {length - offset} are left; copy it again.")
        chunks.append((kind, data[offset : offset + size]))
        offset += size
    if not chunks or chunks[0][0] != _JSON:
        raise DataError(f"{where}: its first chunk is no JSON; export it again.")
    return chunks[0][1], next((chunk for kind, chunk in chunks[1:] if kind == _BINARY), None)
