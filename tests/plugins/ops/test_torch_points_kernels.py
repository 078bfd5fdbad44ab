"""The adapter's results are exact, with a defined order of ties and ball members.

The shared suite is tests/core/ops/test_functional.py; `make test-kernels` builds the library and runs both.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spa3d_plugins.ops.torch import TorchOps

pytest.importorskip("torch_points_kernels", reason="make kernels builds torch-points-kernels")

import spa3d_plugins.ops.torch_points_kernels as backend
from spa3d_plugins.ops.torch_points_kernels import TorchPointsKernels

SQUARE = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [3, 4, 0], [0, 4, 0], [1, 0, 0]]])
"""The corners of a rectangle of 3 by 4, and one point near its first."""


def random(clouds: int, points: int) -> Tensor:
    return torch.randn(clouds, points, 3, generator=torch.Generator().manual_seed(0))


def test_neighbors_by_distance_then_index() -> None:
    query = torch.tensor([[[0.5, 0, 0], [1.5, 4, 0]]])  # 0 and 4 are equally near the first, 2 and 3 the second
    assert TorchPointsKernels().knn(query, SQUARE, 3).tolist() == [[[0, 4, 1], [2, 3, 4]]]
    assert TorchPointsKernels().knn(query, SQUARE, 1).tolist() == [[[0], [2]]]


@pytest.mark.parametrize(("closed", "members"), [(True, [0, 1, 4]), (False, [0, 4, 0])])
def test_ball_query_returns_index_order_padded_with_the_first(closed: bool, members: list[int]) -> None:
    assert TorchPointsKernels().ball_query(SQUARE[:, :1], SQUARE, 3.0, 3, closed=closed).tolist() == [[members]]


def test_ball_query_of_empty_and_full_balls() -> None:
    query = torch.tensor([[[9.0, 9, 9], [3, 4, 0]]])
    assert TorchPointsKernels().ball_query(query, SQUARE, 1.0, 2, closed=True).tolist() == [[[0, 0], [2, 2]]]


def test_knn_of_clear_queries_uses_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    xyz = random(2, 800)
    query = xyz[:, :60].contiguous()
    expected = TorchOps().knn(query, xyz, 9), TorchOps().ball_query(query, xyz, 0.5, 9, closed=True)
    monkeypatch.setattr(TorchOps, "knn", None)
    monkeypatch.setattr(TorchOps, "ball_query", None)
    assert torch.equal(TorchPointsKernels().knn(query, xyz, 9), expected[0])
    assert torch.equal(TorchPointsKernels().ball_query(query, xyz, 0.5, 9, closed=True), expected[1])


def test_knn_with_a_tie_at_rank_k_uses_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, reference = [], TorchOps.knn

    def knn(self: TorchOps, query: Tensor, xyz: Tensor, k: int) -> Tensor:
        queries.append(query.tolist())
        return reference(self, query, xyz, k)

    monkeypatch.setattr(TorchOps, "knn", knn)
    line = torch.tensor([[[float(x), 0, 0] for x in (5, 4, 3, 2, 1, 0)]])
    # The neighbors of 2 are 3 and 1, equally far, so the library's order is undefined. For 2.1 it is defined.
    query = torch.tensor([[[2.0, 0, 0], [2.1, 0, 0]]])
    assert TorchPointsKernels().knn(query, line, 2).tolist() == [[[3, 2], [3, 2]]]
    assert queries == [[[[2, 0, 0]]]]
    assert TorchPointsKernels().knn(query, line, 3).tolist() == [[[3, 2, 4], [3, 2, 4]]]
    assert len(queries) == 1


@pytest.mark.parametrize("scale", [1e-25, 1e-10, 1e15, 1e19])
def test_scales_at_which_squares_are_imprecise(scale: float) -> None:
    xyz = random(1, 50) * scale
    for k in (1, 5, 50):
        assert torch.equal(TorchPointsKernels().knn(xyz, xyz, k), TorchOps().knn(xyz, xyz, k))
    result = TorchPointsKernels().ball_query(xyz, xyz, scale, 5, closed=False)
    assert torch.equal(result, TorchOps().ball_query(xyz, xyz, scale, 5, closed=False))


def test_ball_query_in_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    xyz = random(2, 90)
    whole = TorchPointsKernels().ball_query(xyz, xyz, 0.7, 6, closed=True)
    monkeypatch.setattr(backend, "PAIRS", 4 * 90)  # four balls at a time, and two left over
    assert torch.equal(TorchPointsKernels().ball_query(xyz, xyz, 0.7, 6, closed=True), whole)


def test_global_generator_is_unchanged() -> None:
    state, xyz = torch.random.get_rng_state(), random(1, 100)
    start = torch.tensor([4])
    first = TorchPointsKernels().fps(xyz, 10, start)
    TorchPointsKernels().knn(xyz, xyz, 3)
    TorchPointsKernels().ball_query(xyz, xyz, 1.0, 3, closed=True)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first, TorchOps().fps(xyz, 10, start))


def test_golden_neighbors_and_balls() -> None:
    folder = Path(__file__).parents[2] / "golden"
    for name, stage in (("pointmlp-ulip", "knn"), ("pointnet2-ulip", "ball")):
        golden = np.load(folder / f"{name}.npz")
        xyz = torch.from_numpy(golden["C.points"])[None, :, :3].contiguous()
        query = xyz[:, golden["C.fps_idx_1"]].contiguous()
        expected = golden[f"C.{stage}_idx_1"]
        if stage == "knn":
            result = TorchPointsKernels().knn(query, xyz, expected.shape[1])[0].sort(dim=1).values
        else:
            result = TorchPointsKernels().ball_query(query, xyz, 0.2, expected.shape[1], closed=True)[0]
        assert result.tolist() == expected.tolist()
