"""Nodes of a glTF file: which meshes its scene shows, and where."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from spa3d.data.formats.gltf.buffers import GltfFile
from spa3d.data.formats.gltf.document import Node, pick


def find_matrices(file: GltfFile) -> list[Float[np.ndarray, "4 4"]]:
    """Matrices from each node to the world; raises `DataError` unless the nodes are trees."""
    nodes = file.document.nodes
    parents: dict[int, int] = {}
    for index, node in enumerate(nodes):
        for child in node.children:
            pick(nodes, child, "nodes", file.where)
            if child in parents:
                raise file.make_error(f"node {child} has two parents")
            parents[child] = index
    matrices: list[Float[np.ndarray, "4 4"] | None] = [None] * len(nodes)
    pending = [index for index in range(len(nodes)) if index not in parents]
    while pending:
        index = pending.pop()
        above = matrices[parents[index]] if index in parents else None
        own = _matrix(nodes[index], file)
        matrices[index] = own if above is None else multiply(above, own)
        pending.extend(nodes[index].children)
    result = [matrix for matrix in matrices if matrix is not None]
    if len(result) < len(nodes):  # what no root leads to is a circle
        raise file.make_error(
            f"node {next(i for i, matrix in enumerate(matrices) if matrix is None)} is in a circle of nodes"
        )
    return result


def find_shown(file: GltfFile) -> list[int]:
    """Nodes of the scene that is shown, or all nodes of a file without scenes."""
    document = file.document
    if not document.scenes:
        return list(range(len(document.nodes)))
    if len(document.scenes) > 1:
        file.note(f"scene {document.scene or 0} of the {len(document.scenes)} scenes was read")
    scene = pick(document.scenes, document.scene or 0, "scenes", file.where)
    result, pending = dict[int, None](), list(reversed(scene.nodes))
    while pending:
        index = pending.pop()
        if index in result:
            raise file.make_error(f"node {index} is twice in its scene")
        result[index] = None
        pending.extend(reversed(pick(document.nodes, index, "nodes", file.where).children))
    return list(result)


def multiply(left: Float[np.ndarray, "... 4 4"], right: Float[np.ndarray, "... 4 4"]) -> Float[np.ndarray, "... 4 4"]:
    """Product of matrices, with the same digits on any machine."""
    return np.asarray((left[..., :, :, None] * right[..., None, :, :]).sum(axis=-2))


def move(points: Float[np.ndarray, "N 3"], matrix: Float[np.ndarray, "... 4 4"]) -> Float[np.ndarray, "N 3"]:
    """Apply one matrix to all points, or to each point its own."""
    x, y, z = (points[:, i, None] * matrix[..., :3, i] for i in range(3))
    return x + y + z + matrix[..., :3, 3]


def _matrix(node: Node, file: GltfFile) -> Float[np.ndarray, "4 4"]:
    """Matrix of a node to its parent: its own, or translation times rotation times scale."""
    if "EXT_mesh_gpu_instancing" in node.extensions:
        file.note("copies of a mesh (EXT_mesh_gpu_instancing) are left out")
    if node.matrix is not None:
        return np.array(node.matrix).reshape(4, 4).T
    x, y, z, w = node.rotation
    length = x * x + y * y + z * z + w * w
    if not length > 0:
        raise file.make_error("a node has the rotation 0 0 0 0")
    s = 2 / length
    result = np.eye(4)
    result[:3, :3] = [
        [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
        [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
        [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
    ]
    result[:3, :3] *= node.scale
    result[:3, 3] = node.translation
    return result
