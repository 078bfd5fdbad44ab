import pytest
import torch
from torch import Tensor

from spa3d.runtime.rng import Draws
from spa3d_plugins.noise.mask import Mask

KEYS = [(0, 3, f"record-{number}", "noised") for number in range(6)]


@pytest.fixture(scope="module")
def points() -> Tensor:
    """Clouds of different points; the color is the position in the cloud."""
    draws = Draws(KEYS)
    xyz = torch.nn.functional.normalize(draws.normal(512, 3), dim=-1)
    number = torch.arange(512).expand(6, -1) / 512
    return torch.cat([xyz, number[..., None].expand(-1, -1, 3)], dim=-1)


def find_removed(points: Tensor, noised: Tensor) -> Tensor:
    return (points != noised).any(dim=-1)


@pytest.mark.parametrize("level", [0.1, 0.25, 0.5, 0.75, 0.9])
def test_the_level_is_reached_with_whole_patches(points: Tensor, level: float) -> None:
    noise = Mask(level=level)
    reached = noise.measure_level(points, noise.apply(points, Draws(KEYS)))
    assert (reached >= level).all()
    assert (reached < level + 0.1).all()


def test_level_0_changes_nothing(points: Tensor) -> None:
    noise = Mask(level=0)
    noised = noise.apply(points, Draws(KEYS))
    assert torch.equal(noised, points)
    assert noise.measure_level(points, noised).tolist() == [0] * 6


def test_level_1_leaves_one_patch(points: Tensor) -> None:
    noise = Mask(level=1, patches=16, patch_size=40)
    noised = noise.apply(points, Draws(KEYS))
    assert noise.measure_level(points, noised).tolist() == pytest.approx([1 - 40 / 512] * 6)
    for cloud in noised:
        assert len(cloud.unique(dim=0)) == 40


def test_kept_points_stay_and_fill_the_holes(points: Tensor) -> None:
    noised = Mask(level=0.5).apply(points, Draws(KEYS))
    assert noised.shape == points.shape
    gone = find_removed(points, noised)
    for cloud, worse, hole in zip(points, noised, gone, strict=True):
        survivors = {tuple(row) for row in cloud[~hole].tolist()}
        assert {tuple(row) for row in worse.tolist()} == survivors


def test_removed_points_form_a_neighborhood() -> None:
    # Three clusters far apart and a patch on each: a level of 1 % takes one cluster, 40 % takes two.
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]).repeat(10, 1)
    points = (corners + 0.01 * Draws(KEYS).uniform(30, 3)).contiguous()
    for level, clusters in ((0.01, 1), (0.4, 2)):
        gone = find_removed(points, Mask(level=level, patches=3, patch_size=10).apply(points, Draws(KEYS)))
        per_cluster = gone.view(6, 10, 3).sum(dim=1)
        assert ((per_cluster == 0) | (per_cluster == 10)).all()
        assert gone.sum(dim=1).tolist() == [10 * clusters] * 6
    assert len(per_cluster.unique(dim=0)) > 1


@pytest.mark.parametrize("split", [1, 2, 5])
def test_result_does_not_depend_on_the_batch_split(points: Tensor, split: int) -> None:
    noise = Mask(level=0.3)
    whole = noise.apply(points, Draws(KEYS))
    parts = [noise.apply(points[i : i + split], Draws(KEYS[i : i + split])) for i in range(0, 6, split)]
    assert torch.equal(whole, torch.cat(parts))


def test_result_depends_on_the_key(points: Tensor) -> None:
    noise = Mask(level=0.3)
    assert torch.equal(noise.apply(points, Draws(KEYS)), noise.apply(points, Draws(KEYS)))
    others = [(1, *key[1:]) for key in KEYS]
    assert not torch.equal(noise.apply(points, Draws(KEYS)), noise.apply(points, Draws(others)))


@pytest.mark.parametrize("number", [1, 2, 7])
def test_a_cloud_of_a_few_points(points: Tensor, number: int) -> None:
    few = points[:, :number]
    noised = Mask(level=1).apply(few, Draws(KEYS))
    assert noised.shape == few.shape
    # One patch remains, with 2 N / patches points.
    assert all(len(cloud.unique(dim=0)) == min(number, 2) for cloud in noised)


def test_points_outside_all_patches_can_be_removed(points: Tensor) -> None:
    noise = Mask(level=0.9, patches=8, patch_size=4)
    reached = noise.measure_level(points, noise.apply(points, Draws(KEYS)))
    assert (reached >= 0.9).all()


@pytest.mark.parametrize("values", [{"level": -0.1}, {"level": 1.1}, {"patches": 0}, {"patch_size": -1}, {"sigma": 1}])
def test_config_rejects_invalid_values(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        Mask(**values)
