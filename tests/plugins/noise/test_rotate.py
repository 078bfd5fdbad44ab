import math

import pytest
import torch
from torch import Tensor

from spa3d.runtime.rng import Draws
from spa3d_plugins.noise.rotate import Rotate

KEYS = [(0, 3, f"record-{number}", "noised") for number in range(8)]


@pytest.fixture(scope="module")
def points() -> Tensor:
    draws = Draws(KEYS)
    return torch.cat([draws.normal(50, 3), draws.uniform(50, 3)], dim=-1)


def matrices(noise: Rotate) -> Tensor:
    """Rotate the three unit vectors: the columns of the matrices."""
    return noise.apply(torch.eye(3).expand(8, -1, -1), Draws(KEYS)).mT


@pytest.mark.parametrize("axis", ["random", "x", "y", "z"])
@pytest.mark.parametrize("level", [0.1, 0.25, 0.5, 1])
def test_the_level_is_the_angle(level: float, axis: str) -> None:
    turn = matrices(Rotate(level=level, axis=axis))
    trace = turn.diagonal(dim1=1, dim2=2).sum(dim=1)
    assert ((trace - 1) / 2).tolist() == pytest.approx([math.cos(level * math.pi)] * 8, abs=1e-6)
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3).expand(8, -1, -1), rtol=0, atol=1e-6)
    assert torch.linalg.det(turn).tolist() == pytest.approx([1] * 8)


def test_quarter_turn_about_y_by_hand() -> None:
    """90° about y turn (1, 2, 3) to (3, 2, -1) or to (-3, 2, 1)."""
    points = torch.tensor([1.0, 2, 3, 0.1, 0.2, 0.3]).expand(8, 1, -1)
    noised = Rotate(level=0.5, axis="y").apply(points, Draws(KEYS))[:, 0]
    senses = {tuple(row) for row in noised[:, :3].round(decimals=5).tolist()}
    assert senses == {(3, 2, -1), (-3, 2, 1)}
    assert torch.equal(noised[:, 3:], points[:, 0, 3:])


def test_distances_are_preserved(points: Tensor) -> None:
    """Distances between points, and distances to the origin."""
    origin = torch.zeros(8, 1, 6)
    before, after = (
        torch.cat([origin, cloud], dim=1) for cloud in (points, Rotate(level=0.37).apply(points, Draws(KEYS)))
    )
    apart = [(cloud[:, :, None, :3] - cloud[:, None, :, :3]).norm(dim=-1) for cloud in (before, after)]
    torch.testing.assert_close(*apart)


def test_colors_go_with_their_points(points: Tensor) -> None:
    assert torch.equal(Rotate(level=1).apply(points, Draws(KEYS))[..., 3:], points[..., 3:])


@pytest.mark.parametrize(("axis", "stays"), [("x", 0), ("y", 1), ("z", 2)])
def test_points_keep_their_coordinate_along_the_chosen_axis(points: Tensor, axis: str, stays: int) -> None:
    noised = Rotate(level=0.3, axis=axis).apply(points, Draws(KEYS))
    torch.testing.assert_close(noised[..., stays], points[..., stays])
    others = [i for i in range(3) if i != stays]
    assert ((noised - points)[..., others].abs().amax(dim=(1, 2)) > 0.1).all()


def test_random_axes_have_no_common_direction() -> None:
    """R - Rᵀ = 2 [a]× gives the axis of a turn by 90°; the axes have no common direction."""
    keys = [(number,) for number in range(2000)]
    turn = Rotate(level=0.5).apply(torch.eye(3).expand(2000, -1, -1), Draws(keys)).mT
    axes = torch.stack([turn[:, 2, 1], turn[:, 0, 2], turn[:, 1, 0]], dim=1) - torch.stack(
        [turn[:, 1, 2], turn[:, 2, 0], turn[:, 0, 1]], dim=1
    )
    axes = axes / 2
    torch.testing.assert_close(axes.norm(dim=1), torch.ones(2000), rtol=0, atol=1e-5)
    assert (axes.mean(dim=0).abs() < 0.06).all()
    assert axes.square().mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.03)


def test_config_rejects_an_unknown_axis() -> None:
    with pytest.raises(ValueError, match="axis"):
        Rotate(axis="up")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype_is_kept(points: Tensor, dtype: torch.dtype) -> None:
    noised = Rotate(level=0.25).apply(points.to(dtype), Draws(KEYS))
    assert noised.dtype == dtype
    torch.testing.assert_close(noised.float(), Rotate(level=0.25).apply(points, Draws(KEYS)), rtol=0.02, atol=0.05)
