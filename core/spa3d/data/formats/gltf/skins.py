"""Skins of a glTF file at rest: vertices are moved by their joints."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from spa3d.data.formats.gltf.buffers import GltfFile
from spa3d.data.formats.gltf.document import pick
from spa3d.data.formats.gltf.geometry import Geometry
from spa3d.data.formats.gltf.nodes import find_matrices, move, multiply


@dataclass
class Skinning:
    """Joints of the skins of a file."""

    file: GltfFile
    _joints: dict[int, Float[np.ndarray, "J 4 4"]] = field(default_factory=dict)

    def move(self, skin: int, geometry: Geometry, vertices: Float[np.ndarray, "V 3"]) -> Float[np.ndarray, "V 3"]:
        """Place the vertices of a primitive in the world; the matrix of its own node has no effect."""
        matrices = self._matrices(skin)
        moved, total = np.zeros_like(vertices), np.zeros(len(vertices))
        for number in range(len(geometry.primitive.attributes)):
            joints = geometry.attribute(f"JOINTS_{number}", (4,))
            weights = geometry.attribute(f"WEIGHTS_{number}", (4,), share=True)
            if joints is None or weights is None:
                break
            if len(joints) and not 0 <= joints.min() <= joints.max() < len(matrices):
                raise self.file.make_error(f"a vertex of joint {joints.max():.0f}, but skin {skin} has {len(matrices)}")
            for joint, weight in zip(joints.astype(np.int64).T, weights.T, strict=True):
                moved += weight[:, None] * move(vertices, matrices[joint])
                total += weight
        free = ~(total > 0)
        if free.any():
            self.file.note("vertices of a skin without joints stay where they are stored")
        return np.where(free[:, None], vertices, moved / np.where(free, 1, total)[:, None])

    def _matrices(self, index: int) -> Float[np.ndarray, "J 4 4"]:
        """Matrices from the bind pose to the world, one per joint."""
        if index not in self._joints:
            skin = pick(self.file.document.skins, index, "skins", self.file.where)
            world = find_matrices(self.file)
            matrices = np.array([pick(world, joint, "nodes", self.file.where) for joint in skin.joints])
            if skin.inverse_bind_matrices is not None:
                _, stored = self.file.accessor(skin.inverse_bind_matrices)
                if stored.shape[1] != 16 or len(stored) < len(matrices) or stored.dtype.kind != "f":
                    raise self.file.make_error(f"skin {index} has no matrix for each of its joints")
                inverse = stored[: len(matrices)].astype(np.float64).reshape(-1, 4, 4).transpose(0, 2, 1)
                matrices = multiply(matrices.reshape(-1, 4, 4), inverse)
            self._joints[index] = matrices.reshape(-1, 4, 4)
        return self._joints[index]
