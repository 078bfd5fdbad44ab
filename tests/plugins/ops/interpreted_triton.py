"""Triton kernels without a GPU; test_triton.py runs this file with TRITON_INTERPRET=1.

The interpreter is chosen when Triton is imported and must not reach other tests, hence the process of its own and a
name that pytest does not collect. It works one operation after the other, so the sizes are small.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import spa3d_plugins.ops.triton as backend
from spa3d_plugins.ops.torch import TorchOps
from spa3d_plugins.ops.triton import TritonOps

GOLDEN = Path(__file__).parents[2] / "golden"


def clouds(points: int, kind: str) -> Tensor:
    stream = torch.Generator().manual_seed(points)
    if kind == "lattice":
        return torch.randint(-2, 3, (2, points, 3), generator=stream).float()
    return torch.randn(2, points, 3, generator=stream)


def test_a_rectangle_by_hand() -> None:
    square = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [3, 4, 0], [0, 4, 0], [1, 0, 0]]])
    assert TritonOps.devices == ("cuda", "cpu")
    assert TritonOps().fps(square, 4, torch.tensor([0])).tolist() == [[0, 2, 1, 3]]
    query = torch.tensor([[[0.5, 0, 0], [1.5, 4, 0]]])
    assert TritonOps().knn(query, square, 3).tolist() == [[[0, 4, 1], [2, 3, 4]]]
    for closed, members in ((True, [0, 1, 4]), (False, [0, 4, 0])):
        assert TritonOps().ball_query(square[:, :1], square, 3.0, 3, closed=closed).tolist() == [[members]]


@pytest.mark.parametrize("kind", ["lattice", "random"])
@pytest.mark.parametrize("points", [1, 17, 300])
def test_the_reference_agrees(points: int, kind: str) -> None:
    xyz, start = clouds(points, kind), torch.tensor([points - 1, 0])
    query = xyz[:, :20].contiguous()
    count = min(60, points + 3)
    assert torch.equal(TritonOps().fps(xyz, count, start), TorchOps().fps(xyz, count, start))
    for k in {1, min(9, points)}:
        assert torch.equal(TritonOps().knn(query, xyz, k), TorchOps().knn(query, xyz, k))
    for radius, nsample, closed in ((1.0, 5, True), (1.0, 5, False), (0.01, 1, True), (9.0, 40, False)):
        result = TritonOps().ball_query(query, xyz, radius, nsample, closed=closed)
        assert torch.equal(result, TorchOps().ball_query(query, xyz, radius, nsample, closed=closed))


@pytest.mark.parametrize("kind", ["lattice", "random"])
def test_clouds_that_do_not_fit_into_registers(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "IN_REGISTERS", 64)
    monkeypatch.setattr(backend, "LARGE_TILE", 64)
    xyz, start = clouds(200, kind), torch.tensor([3, 199])
    assert torch.equal(TritonOps().fps(xyz, 40, start), TorchOps().fps(xyz, 40, start))


def test_many_tiles_and_many_neighbors() -> None:
    xyz = clouds(1200, "lattice")
    query = xyz[:, :8].contiguous()
    for k in (24, 200):  # the second is beyond the kernel's lists
        assert torch.equal(TritonOps().knn(query, xyz, k), TorchOps().knn(query, xyz, k))


def test_golden_centers() -> None:
    golden = np.load(GOLDEN / "pointmlp-ulip.npz")
    xyz, centers = torch.from_numpy(golden["C.points"])[None], golden["C.fps_idx_1"]
    assert TritonOps().fps(xyz, len(centers), torch.tensor([0]))[0].tolist() == centers.tolist()


def test_golden_neighbors_and_balls() -> None:
    for name, stage in (("pointmlp-ulip", "knn"), ("pointnet2-ulip", "ball")):
        golden = np.load(GOLDEN / f"{name}.npz")
        xyz = torch.from_numpy(golden["C.points"])[None]
        query = xyz[:, golden["C.fps_idx_1"][:64]].contiguous()
        expected = golden[f"C.{stage}_idx_1"][:64]
        if stage == "knn":
            result = TritonOps().knn(query, xyz, expected.shape[1])[0].sort(dim=1).values
        else:
            result = TritonOps().ball_query(query, xyz, 0.2, expected.shape[1], closed=True)[0]
        assert result.tolist() == expected.tolist()
