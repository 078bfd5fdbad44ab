"""Vertices and triangles of a glTF primitive, also of a compressed one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from spa3d.data.formats.contract import import_reader
from spa3d.data.formats.gltf.buffers import GltfFile
from spa3d.data.formats.gltf.document import Draco, Primitive, pick
from spa3d.errors import DataError

POINTS, TRIANGLES, STRIP, FAN = 0, 4, 5, 6
"""Modes of primitives; those between are lines."""


@dataclass
class Geometry:
    """Arrays of a primitive, read from accessors or decompressed."""

    file: GltfFile
    primitive: Primitive
    _compressed: dict[str, np.ndarray] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        draco = self.primitive.extensions.draco
        if draco is not None:
            self._compressed = _decompress(self.file, draco)

    def vertices(self) -> Float[np.ndarray, "V 3"]:
        """Positions in the node, float64."""
        positions = self.attribute("POSITION", (3,))
        if positions is None:
            raise self.file.make_error("a mesh without positions")
        return positions

    def attribute(self, name: str, widths: tuple[int, ...], *, share: bool = False) -> np.ndarray | None:
        """Values per vertex, ``(V, width)`` float64; None if there are none.

        Args:
            name: name of the attribute.
            widths: possible numbers of columns.
            share: whether integers are shares of their largest value, even where the file does not say so.

        Raises:
            DataError: another number of columns, or of rows than vertices.

        """
        index = self.primitive.attributes.get(name)
        if index is None:
            return None
        if self._compressed is not None and name in self._compressed:
            accessor = pick(self.file.document.accessors, index, "accessors", self.file.where)
            values = self._compressed[name]
        else:
            accessor, values = self.file.accessor(index)
        if values.shape[1] not in widths or len(values) != self._count(values):
            raise self.file.make_error(f"{name} has the shape {values.shape}")
        if values.dtype.kind == "f" or not (accessor.normalized or share):
            return values.astype(np.float64)
        return np.maximum(values / np.iinfo(values.dtype).max, -1)

    def faces(self) -> Int[np.ndarray, "F 3"]:
        """Triangles, also of strips and fans, int64."""
        corners = self.indices()
        mode = self.primitive.mode
        if mode == TRIANGLES:
            if len(corners) % 3:
                self.file.note("a last triangle with fewer than three corners is left out")
            return corners[: len(corners) // 3 * 3].reshape(-1, 3)
        step = np.arange(max(len(corners) - 2, 0))
        if mode == FAN:
            return np.stack([corners[step + 1], corners[step + 2], corners[step * 0]], 1)
        return np.stack([corners[step], corners[step + 1 + step % 2], corners[step + 2 - step % 2]], 1)

    def indices(self) -> Int[np.ndarray, " C"]:
        """Corners in order, int64."""
        index = self.primitive.indices
        if self._compressed is not None and "indices" in self._compressed:
            return self._compressed["indices"].astype(np.int64).reshape(-1)
        if index is None:
            return np.arange(self._count(None))
        _, values = self.file.accessor(index)
        if values.dtype.kind != "u" or values.shape[1] != 1:
            raise self.file.make_error("indices of a mesh that are no whole numbers")
        return values[:, 0].astype(np.int64)

    def _count(self, values: np.ndarray | None) -> int:
        """Number of vertices."""
        if self._compressed is not None:
            return len(self._compressed.get("POSITION", values if values is not None else ()))
        index = self.primitive.attributes.get("POSITION")
        if index is None:
            raise self.file.make_error("a mesh without positions")
        return pick(self.file.document.accessors, index, "accessors", self.file.where).count


def _decompress(file: GltfFile, draco: Draco) -> dict[str, np.ndarray]:
    """Decode a Draco mesh to its attributes, by name, and its triangles, as ``indices``."""
    library = import_reader("DracoPy", file.where)
    data = bytes(file.view(draco.buffer_view))
    try:
        mesh: Any = library.decode(data)
        by_id = {each["unique_id"]: np.asarray(each["data"]) for each in mesh.attributes}
        arrays = {name: by_id[number] for name, number in draco.attributes.items() if number in by_id}
        arrays = {name: array.reshape(len(array), -1) for name, array in arrays.items()}
        if getattr(mesh, "faces", None) is not None:
            arrays["indices"] = np.asarray(mesh.faces)
    except Exception as error:  # the library raises anything, its own types as well
        raise DataError(f"{file.where}: its Draco data cannot be decoded ({error}); export it again.") from error
    return arrays
