"""Point operations as Triton kernels for a GPU, without another compiler.

The kernels take coordinates as three planes ``(B, 3, N)``. They are compiled without fused multiply-add, so that
distances, and therefore indices, equal those of the reference. Distances are ≥ 0, so they have the same order as the
integers of the same bits; all searches compare these integers.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from spa3d_plugins.ops.torch import TorchOps

IN_REGISTERS = 8192
"""Largest cloud for which farthest point sampling works in registers only: 128 of 256 KiB."""
LARGE_TILE = 4096
"""Points per tile for larger clouds."""
LARGEST_K = 128
"""Largest k for the kernel's insertion; above it the reference's selection is faster."""


class TritonOps(TorchOps):
    """Exact results in the order of the reference; kNN with k > 128 uses the reference.

    Takes CUDA tensors. With ``TRITON_INTERPRET=1`` (set before Triton is imported) it also takes CPU tensors, which is
    slow and meant for tests.
    """

    devices = ("cuda", "cpu") if triton.knobs.runtime.interpret else ("cuda",)

    def fps(self, xyz: Float[Tensor, "B N 3"], count: int, start: Int[Tensor, " B"]) -> Int[Tensor, "B count"]:
        """Run one program per cloud, with coordinates and distances in registers if they fit."""
        clouds, points = xyz.shape[:2]
        planes, chosen = xyz.mT.contiguous(), start.new_empty(clouds, count)
        with _use_device(xyz):
            if points <= IN_REGISTERS:
                tile = max(16, triton.next_power_of_2(points))
                _fps[(clouds,)](planes, start, chosen, points, count, tile=tile, **_options(tile // 512))
            else:
                nearest = torch.full_like(planes[:, 0], torch.inf)
                _fps_large[(clouds,)](planes, start, chosen, nearest, points, count, tile=LARGE_TILE, **_options(16))
        return chosen

    def knn(self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], k: int) -> Int[Tensor, "B Q k"]:
        """Run a few queries per program; points of a tile are inserted into the lists of k nearest."""
        if k > LARGEST_K:
            return super().knn(query, xyz, k)
        indices = query.new_empty(*query.shape[:2], k, dtype=torch.int64)
        tile = min(512, max(16, triton.next_power_of_2(xyz.shape[1])))
        rows, grid = _split(query, 4)
        with _use_device(xyz):
            _knn[grid](
                *_search_arguments(query, xyz),
                indices,
                k,
                rows=rows,
                slots=triton.next_power_of_2(k),
                tile=tile,
                **_options(4),
            )
        return indices

    def ball_query(
        self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], radius: float, nsample: int, *, closed: bool
    ) -> Int[Tensor, "B Q nsample"]:
        """Run a few balls per program; points are scanned in index order until all balls are full."""
        limit, slots = float(np.square(np.float32(radius))), triton.next_power_of_2(nsample)
        indices = query.new_empty(*query.shape[:2], nsample, dtype=torch.int64)
        rows, grid = _split(query, 8)
        with _use_device(xyz):
            _ball_query[grid](
                *_search_arguments(query, xyz), indices, limit, nsample,
                closed=closed, rows=rows, slots=slots, tile=128, **_options(4),
            )  # fmt: skip
        return indices


def _use_device(xyz: Tensor) -> AbstractContextManager[object]:
    """Make the device of `xyz` current, on which kernels are launched."""
    return torch.cuda.device(xyz.device) if xyz.is_cuda else nullcontext()


def _options(warps: int) -> dict[str, Any]:
    """Launch options: 4 to 16 warps, no fused multiply-add."""
    return {"num_warps": min(16, max(4, warps)), "enable_fp_fusion": False}


def _split(query: Tensor, rows: int) -> tuple[int, tuple[int, int]]:
    """Choose queries per program and the grid.

    The interpreter is serial, so there a program takes more queries.
    """
    clouds, queries = query.shape[:2]
    rows = min(rows if query.is_cuda else 256, triton.next_power_of_2(queries))
    return rows, (triton.cdiv(queries, rows), clouds)


def _search_arguments(query: Tensor, xyz: Tensor) -> tuple[Tensor, Tensor, int, int]:
    """First arguments of both search kernels: planes and numbers of queries and points."""
    return query.mT.contiguous(), xyz.mT.contiguous(), query.shape[1], xyz.shape[1]


@triton.jit
def _square_distances(
    planes: tl.tensor, position: tl.tensor, points: tl.tensor, x: tl.tensor, y: tl.tensor, z: tl.tensor
) -> tl.tensor:
    """Squared distances of the points at `position` from (x, y, z); missing points count as 0."""
    there = position < points
    dx = tl.load(planes + position, mask=there, other=0.0) - x
    dy = tl.load(planes + points + position, mask=there, other=0.0) - y
    dz = tl.load(planes + 2 * points + position, mask=there, other=0.0) - z
    return dx * dx + dy * dy + dz * dz


@triton.jit
def _columns(planes: tl.tensor, row: tl.tensor, points: tl.tensor) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Load the coordinates of the points at `row` as columns; 0 where there is no point."""
    there = row < points
    x = tl.load(planes + row, mask=there, other=0.0)[:, None]
    y = tl.load(planes + points + row, mask=there, other=0.0)[:, None]
    z = tl.load(planes + 2 * points + row, mask=there, other=0.0)[:, None]
    return x, y, z


@triton.jit
def _fps(
    planes: tl.tensor, start: tl.tensor, chosen: tl.tensor, points: tl.tensor, count: tl.tensor, tile: tl.constexpr
) -> None:
    cloud = tl.program_id(0).to(tl.int64)
    planes += cloud * 3 * points
    chosen += cloud * count
    position = tl.arange(0, tile)
    there = position < points
    x = tl.load(planes + position, mask=there, other=0.0)
    y = tl.load(planes + points + position, mask=there, other=0.0)
    z = tl.load(planes + 2 * points + position, mask=there, other=0.0)
    nearest = tl.where(there, float("inf"), -1.0)  # a negative distance is never the largest
    latest = tl.load(start + cloud)
    tl.store(chosen, latest)
    for step in range(1, count):
        dx = x - tl.load(planes + latest)
        dy = y - tl.load(planes + points + latest)
        dz = z - tl.load(planes + 2 * points + latest)
        nearest = tl.minimum(nearest, dx * dx + dy * dy + dz * dz)
        bits = nearest.to(tl.int32, bitcast=True)
        latest = tl.min(tl.where(bits == tl.max(bits, axis=0), position, tile), axis=0).to(tl.int64)
        tl.store(chosen + step, latest)


@triton.jit
def _fps_large(
    planes: tl.tensor,
    start: tl.tensor,
    chosen: tl.tensor,
    nearest: tl.tensor,
    points: tl.tensor,
    count: tl.tensor,
    tile: tl.constexpr,
) -> None:
    cloud = tl.program_id(0).to(tl.int64)
    planes += cloud * 3 * points
    chosen += cloud * count
    nearest += cloud * points
    latest = tl.load(start + cloud)
    tl.store(chosen, latest)
    for step in range(1, count):
        x, y, z = tl.load(planes + latest), tl.load(planes + points + latest), tl.load(planes + 2 * points + latest)
        # Every lane keeps the first of its largest distances; the lowest index among the lanes' best is chosen.
        best, best_position = tl.full([tile], -1, tl.int32), tl.full([tile], 0, tl.int32)
        for first in range(0, points, tile):
            position = first + tl.arange(0, tile)
            distance = tl.minimum(
                tl.load(nearest + position, mask=position < points, other=-1.0),
                _square_distances(planes, position, points, x, y, z),
            )
            tl.store(nearest + position, distance, mask=position < points)
            bits = distance.to(tl.int32, bitcast=True)
            best_position = tl.where(bits > best, position, best_position)
            best = tl.maximum(bits, best)
        latest = tl.min(tl.where(best == tl.max(best, axis=0), best_position, points), axis=0).to(tl.int64)
        tl.store(chosen + step, latest)


@triton.jit
def _knn(
    query: tl.tensor, planes: tl.tensor, queries: tl.tensor, points: tl.tensor, indices: tl.tensor, k: tl.tensor,
    rows: tl.constexpr, slots: tl.constexpr, tile: tl.constexpr,
) -> None:  # fmt: skip
    last: tl.constexpr = 2**63 - 1
    row, cloud = tl.program_id(0) * rows + tl.arange(0, rows), tl.program_id(1).to(tl.int64)
    query += cloud * 3 * queries
    planes += cloud * 3 * points
    is_query = row < queries
    x, y, z = _columns(query, row, queries)
    # Keys are (distance, index). Lists start with distinct keys above all real keys; slots beyond k are not replaced.
    slot = tl.arange(0, slots).to(tl.int64)[None, :] + tl.zeros([rows, slots], tl.int64)
    listed = tl.where(slot < k, last - slot, -1)
    for first in range(0, points, tile):
        position = first + tl.arange(0, tile)[None, :]
        bits = _square_distances(planes, position, points, x, y, z).to(tl.int32, bitcast=True)
        key = (bits.to(tl.int64) << 32) | position
        key = tl.where((position < points) & is_query[:, None], key, last)
        least, most = tl.min(key, axis=1), tl.max(listed, axis=1)
        while tl.max((least < most).to(tl.int32), axis=0) > 0:
            left = (listed == most[:, None]) & (least < most)[:, None]
            listed = tl.where(left, least[:, None], listed)
            key = tl.where(key == least[:, None], last, key)
            least, most = tl.min(key, axis=1), tl.max(listed, axis=1)
    listed = tl.where(slot < k, listed, last)
    indices += (cloud * queries + row) * k
    for position in range(k):
        least = tl.min(listed, axis=1)
        tl.store(indices + position, least & 0xFFFFFFFF, mask=is_query)
        listed = tl.where(listed == least[:, None], last, listed)


@triton.jit
def _ball_query(
    query: tl.tensor, planes: tl.tensor, queries: tl.tensor, points: tl.tensor, indices: tl.tensor, limit: tl.tensor,
    nsample: tl.tensor, closed: tl.constexpr, rows: tl.constexpr, slots: tl.constexpr, tile: tl.constexpr,
) -> None:  # fmt: skip
    row, cloud = tl.program_id(0) * rows + tl.arange(0, rows), tl.program_id(1).to(tl.int64)
    query += cloud * 3 * queries
    planes += cloud * 3 * points
    is_query = row < queries
    x, y, z = _columns(query, row, queries)
    ball = (indices + (cloud * queries + row) * nsample)[:, None]
    count = tl.where(is_query, 0, nsample)  # rows beyond the last query count as full
    lowest = tl.full([rows], 2**31 - 1, tl.int32)
    first = 0
    while (first < points) & (tl.min(count, axis=0) < nsample):
        position = first + tl.arange(0, tile)[None, :]
        distance = _square_distances(planes, position, points, x, y, z)
        inside = (distance <= limit) if closed else (distance < limit)
        inside = (inside & (position < points) & is_query[:, None]).to(tl.int32)
        rank = count[:, None] + tl.cumsum(inside, axis=1)
        tl.store(ball + rank - 1, position.to(tl.int64), mask=(inside > 0) & (rank <= nsample))
        lowest = tl.minimum(lowest, tl.min(tl.where(inside > 0, position, 2**31 - 1), axis=1))
        count += tl.sum(inside, axis=1)
        first += tile
    slot = tl.arange(0, slots)[None, :]
    filler = tl.where(count > 0, lowest, 0).to(tl.int64)[:, None]
    tl.store(ball + slot, filler, mask=is_query[:, None] & (slot >= count[:, None]) & (slot < nsample))
