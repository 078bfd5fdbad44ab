import pytest
import torch
from torch import Tensor

from spa3d.runtime.rng import Draws
from spa3d_plugins.noise.random_drop import RandomDrop

KEYS = [(0, 3, f"record-{number}", "noised") for number in range(6)]


@pytest.fixture(scope="module")
def points() -> Tensor:
    """Six clouds of 200 points; the first color is the position of the point in its cloud."""
    position = (torch.arange(200) / 200).expand(6, -1)[..., None]
    return torch.cat([Draws(KEYS).normal(200, 3), position, position, position], dim=-1)


def find_kept(points: Tensor, noised: Tensor) -> Tensor:
    return (points == noised).all(dim=-1)


@pytest.mark.parametrize(("level", "gone"), [(0.1, 20), (0.25, 50), (0.5, 100), (0.903, 181), (0.7, 140)])
def test_the_share_removed_is_the_level(points: Tensor, level: float, gone: int) -> None:
    noise = RandomDrop(level=level)
    noised = noise.apply(points, Draws(KEYS))
    assert (~find_kept(points, noised)).sum(dim=1).tolist() == [gone] * 6
    assert noise.measure_level(points, noised).tolist() == pytest.approx([gone / 200] * 6)


def test_kept_points_stay_and_fill_the_holes(points: Tensor) -> None:
    noised = RandomDrop(level=0.5).apply(points, Draws(KEYS))
    for cloud, worse, stays in zip(points, noised, find_kept(points, noised), strict=True):
        assert {tuple(row) for row in worse.tolist()} == {tuple(row) for row in cloud[stays].tolist()}


def test_removed_points_are_scattered(points: Tensor) -> None:
    """Of the 100 dropped among 200, about half lie in either half of the order and of the space."""
    gone = ~find_kept(points, RandomDrop(level=0.5).apply(points, Draws(KEYS)))
    halves = (gone[:, :100], gone[points[..., 0] > points[..., 0].median()])
    for half in halves:
        assert half.float().mean().item() == pytest.approx(0.5, abs=0.08)
    assert len(gone.unique(dim=0)) == 6


def test_points_kept_at_one_level_are_kept_at_lower_levels(points: Tensor) -> None:
    before = torch.ones(6, 200, dtype=torch.bool)
    for level in (0.1, 0.3, 0.6, 0.9):
        now = find_kept(points, RandomDrop(level=level).apply(points, Draws(KEYS)))
        assert not (now & ~before).any()
        before = now


@pytest.mark.parametrize("number", [1, 2, 7])
def test_level_1_leaves_a_single_point(points: Tensor, number: int) -> None:
    noised = RandomDrop(level=1).apply(points[:, :number], Draws(KEYS))
    assert noised.shape == (6, number, 6)
    assert all(len(cloud.unique(dim=0)) == 1 for cloud in noised)
