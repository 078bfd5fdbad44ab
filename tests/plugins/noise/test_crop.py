import pytest
import torch
from torch import Tensor

from spa3d.runtime.rng import Draws
from spa3d_plugins.noise.crop import Crop

KEYS = [(0, 3, f"record-{number}", "noised") for number in range(6)]


@pytest.fixture(scope="module")
def points() -> Tensor:
    draws = Draws(KEYS)
    return torch.cat([torch.nn.functional.normalize(draws.normal(200, 3), dim=-1), draws.uniform(200, 3)], dim=-1)


def find_removed(points: Tensor, noised: Tensor) -> Tensor:
    return (points != noised).any(dim=-1)


@pytest.mark.parametrize(("level", "number"), [(0.1, 20), (0.25, 50), (0.5, 100), (0.903, 181), (0.7, 140)])
def test_the_share_removed_is_the_level(points: Tensor, level: float, number: int) -> None:
    noise = Crop(level=level)
    noised = noise.apply(points, Draws(KEYS))
    assert find_removed(points, noised).sum(dim=1).tolist() == [number] * 6
    assert noise.measure_level(points, noised).tolist() == pytest.approx([number / 200] * 6)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_removed_points_lie_beyond_a_plane(points: Tensor, level: float) -> None:
    """Along the direction, the first random draw, all removed points lie beyond all kept points."""
    direction = Draws(KEYS).normal(3)
    noised = Crop(level=level).apply(points, Draws(KEYS))
    far = (points[..., :3] * direction[:, None]).sum(dim=-1)
    for removed, along, worse in zip(find_removed(points, noised), far, noised, strict=True):
        assert along[removed].min() > along[~removed].max()
        assert {tuple(row) for row in worse.tolist()} == {tuple(row) for row in worse[~removed].tolist()}


def test_half_of_two_clusters_is_one_cluster() -> None:
    """Level 0.5 removes one of two distant clusters of ten points, not always the same."""
    ends = torch.tensor([[-1.0, 0, 0], [1, 0, 0]]).repeat_interleave(10, dim=0)
    points = ends + 1e-4 * Draws(KEYS).uniform(20, 3)
    per_cluster = find_removed(points, Crop(level=0.5).apply(points, Draws(KEYS))).view(6, 2, 10).sum(dim=2)
    assert sorted({tuple(row) for row in per_cluster.tolist()}) == [(0, 10), (10, 0)]


def test_points_kept_at_one_level_are_kept_at_lower_levels(points: Tensor) -> None:
    before = torch.zeros(6, 200, dtype=torch.bool)
    for level in (0.1, 0.3, 0.6, 0.9):
        now = find_removed(points, Crop(level=level).apply(points, Draws(KEYS)))
        assert not (before & ~now).any()
        before = now


@pytest.mark.parametrize("number", [1, 2, 7])
def test_level_1_leaves_a_single_point(points: Tensor, number: int) -> None:
    noised = Crop(level=1).apply(points[:, :number], Draws(KEYS))
    assert noised.shape == (6, number, 6)
    assert all(len(cloud.unique(dim=0)) == 1 for cloud in noised)


def test_equal_points_are_removed_in_index_order() -> None:
    points = torch.cat([torch.ones(6, 10, 3), (torch.arange(10.0) / 10).expand(6, -1)[..., None]], dim=-1)
    removed = find_removed(points, Crop(level=0.3).apply(points, Draws(KEYS)))
    assert removed.tolist() == [[True] * 3 + [False] * 7] * 6
