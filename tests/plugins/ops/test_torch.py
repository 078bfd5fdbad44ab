"""The reference backend by hand; tests of all backends: tests/core/ops/test_functional.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import spa3d_plugins.ops.torch as backend
from spa3d_plugins.ops.torch import TorchOps

SQUARE = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [3, 4, 0], [0, 4, 0], [1, 0, 0]]])
"""The corners of a rectangle of 3 by 4, and one point near its first."""


def test_fps_takes_the_farthest_point_in_each_step() -> None:
    # First the corner opposite 0 (distance 5). Then 1 and 3 are both at distance 3: the lower index.
    assert TorchOps().fps(SQUARE, 4, torch.tensor([0])).tolist() == [[0, 2, 1, 3]]
    assert TorchOps().fps(SQUARE, 2, torch.tensor([3])).tolist() == [[3, 1]]


def test_neighbors_by_distance_then_index() -> None:
    query = torch.tensor([[[0.5, 0, 0], [1.5, 4, 0]]])  # 0 and 4 are equally near the first, 2 and 3 the second
    assert TorchOps().knn(query, SQUARE, 3).tolist() == [[[0, 4, 1], [2, 3, 4]]]


@pytest.mark.parametrize(("closed", "members"), [(True, [0, 1, 4]), (False, [0, 4, 0])])
def test_ball_query_returns_index_order_padded_with_the_first(closed: bool, members: list[int]) -> None:
    assert TorchOps().ball_query(SQUARE[:, :1], SQUARE, 3.0, 3, closed=closed).tolist() == [[members]]


def test_ball_query_of_an_empty_ball_is_index_0() -> None:
    far = torch.full((1, 1, 3), 9.0)
    assert TorchOps().ball_query(far, SQUARE, 1.0, 2, closed=True).tolist() == [[[0, 0]]]


def test_block_size_does_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    xyz = torch.rand(2, 40, 3, generator=torch.Generator().manual_seed(0))

    def result() -> tuple[Tensor, Tensor]:
        return TorchOps().knn(xyz, xyz, 5), TorchOps().ball_query(xyz, xyz, 0.3, 5, closed=False)

    whole = result()
    monkeypatch.setattr(backend, "PAIRS", 3 * 40)  # three queries at a time, and one left over
    for one, other in zip(whole, result(), strict=True):
        assert torch.equal(one, other)
