"""The adapter of torch-quickfps; shared tests: tests/core/ops/test_functional.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spa3d_plugins.ops.torch import TorchOps

torch_quickfps = pytest.importorskip("torch_quickfps", reason="pip install torch-quickfps")

import spa3d_plugins.ops.torch_quickfps as backend  # noqa: E402 - after the skip
from spa3d_plugins.ops.torch_quickfps import QuickFPS  # noqa: E402

START = torch.tensor([0])
SQUARE = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [3, 4, 0], [0, 4, 0], [1, 0, 0]]])
"""The corners of a rectangle of 3 by 4, and one point near its first."""


def random(points: int, seed: int = 0) -> Tensor:
    return torch.randn(1, points, 3, generator=torch.Generator().manual_seed(seed))


def test_fps_takes_the_farthest_point_in_each_step() -> None:
    assert QuickFPS().fps(SQUARE, 4, START).tolist() == [[0, 2, 1, 3]]
    assert QuickFPS().fps(SQUARE, 7, torch.tensor([3])).tolist() == [[3, 1, 0, 2, 4, 0, 0]]


def test_is_exact_rejects_ties_swaps_and_nearer_points() -> None:
    # After 0 and 2, points 1 and 3 are both at squared distance 9; the lower index is correct.
    assert backend._is_exact(SQUARE[0], torch.tensor([0, 2, 1, 3]))
    assert not backend._is_exact(SQUARE[0], torch.tensor([0, 2, 3, 1]))
    assert not backend._is_exact(SQUARE[0], torch.tensor([0, 3, 1, 2]))
    assert not backend._is_exact(SQUARE[0], torch.tensor([0, 2, 1, 4]))
    assert backend._is_exact(SQUARE[0], torch.tensor([4]))


@pytest.mark.parametrize("step", [1, 100, 255])
def test_is_exact_rejects_one_wrong_step_among_many(step: int) -> None:
    xyz = random(2000)
    chosen = TorchOps().fps(xyz, 256, START)[0]
    assert backend._is_exact(xyz[0], chosen)
    chosen[step] = next(point for point in range(2000) if point not in chosen)
    assert not backend._is_exact(xyz[0], chosen)


def test_is_exact_rejects_the_later_of_two_equal_points() -> None:
    xyz = torch.cat([random(500), random(500)[:, :250]], dim=1)
    chosen = TorchOps().fps(xyz, 100, START)[0]
    twice = int((chosen < 250).nonzero()[1])
    chosen[twice] += 500
    assert not backend._is_exact(xyz[0], chosen)


def test_fps_without_ties_uses_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    xyz = random(1500).expand(3, -1, -1).contiguous()
    start = torch.tensor([0, 7, 0])
    expected = TorchOps().fps(xyz, 200, start)
    monkeypatch.setattr(TorchOps, "fps", None)
    assert torch.equal(QuickFPS().fps(xyz, 200, start), expected)


def test_fps_with_ties_uses_the_reference_for_those_clouds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    lattice = torch.cartesian_prod(*[torch.arange(8.0)] * 3)[None]
    xyz = torch.cat([random(512), lattice, random(512, seed=1)])
    start = torch.tensor([3, 0, 3])
    expected, batches = TorchOps().fps(xyz, 100, start), []
    reference = TorchOps.fps

    def fps(self: TorchOps, xyz: Tensor, count: int, start: Tensor) -> Tensor:
        batches.append(len(xyz))
        return reference(self, xyz, count, start)

    monkeypatch.setattr(TorchOps, "fps", fps)
    assert torch.equal(QuickFPS().fps(xyz, 100, start), expected)
    assert batches == [1]


def test_global_generator_is_unchanged() -> None:
    state = torch.random.get_rng_state()
    QuickFPS().fps(random(100), 10, START)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_golden_indices() -> None:
    golden = np.load(Path(__file__).parents[2] / "golden" / "pointmlp-ulip.npz")
    for cloud in "ABC":
        xyz = torch.from_numpy(golden[f"{cloud}.points"])[None, :, :3].contiguous()
        expected = golden[f"{cloud}.fps_idx_1"]
        assert QuickFPS().fps(xyz, len(expected), START)[0].tolist() == expected.tolist()
