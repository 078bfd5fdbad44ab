import pytest
import torch
from torch import Tensor

from spa3d.runtime.rng import Draws
from spa3d_plugins.noise.gaussian import Gaussian

KEYS = [(0, 3, f"record-{number}", "noised") for number in range(4)]


@pytest.fixture(scope="module")
def points() -> Tensor:
    """Clouds of radius 1: their points lie on the unit sphere."""
    draws = Draws(KEYS)
    return torch.cat([torch.nn.functional.normalize(draws.normal(4000, 3), dim=-1), draws.uniform(4000, 3)], dim=-1)


@pytest.mark.parametrize("level", [0.01, 0.1, 1])
def test_the_level_is_sigma(points: Tensor, level: float) -> None:
    """Standard errors of 12000 errors: 0.65 % of the deviation, and 0.9 % of it for the mean."""
    noised = Gaussian(level=level).apply(points, Draws(KEYS))
    error = (noised - points)[..., :3].flatten(1)
    assert error.std(dim=1).tolist() == pytest.approx([level] * 4, rel=0.025)
    assert (error.mean(dim=1).abs() < 0.035 * level).all()
    # Normal: 68.3 % within one sigma, 95.4 % within two.
    for sigmas, share in ((1, 0.683), (2, 0.954)):
        assert (error.abs() < sigmas * level).float().mean().item() == pytest.approx(share, abs=0.01)


def test_colors_stay(points: Tensor) -> None:
    assert torch.equal(Gaussian(level=1).apply(points, Draws(KEYS))[..., 3:], points[..., 3:])


def test_errors_scale_with_the_radius_of_each_cloud(points: Tensor) -> None:
    size = torch.tensor([1.0, 2, 8, 0.5])[:, None, None]
    grown = torch.cat([points[..., :3] * size, points[..., 3:]], dim=-1)
    small, large = (Gaussian(level=0.2).apply(cloud, Draws(KEYS)) for cloud in (points, grown))
    torch.testing.assert_close(large[..., :3], small[..., :3] * size, rtol=1e-5, atol=1e-5)


def test_errors_of_two_levels_differ_by_a_factor(points: Tensor) -> None:
    half, whole = (Gaussian(level=level).apply(points, Draws(KEYS)) - points for level in (0.25, 0.5))
    torch.testing.assert_close(2 * half, whole, rtol=1e-5, atol=1e-6)


def test_default_variance_is_0_01() -> None:
    assert Gaussian().level ** 2 == pytest.approx(0.01)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype_is_kept(points: Tensor, dtype: torch.dtype) -> None:
    noised = Gaussian(level=0.1).apply(points[:, :50].to(dtype), Draws(KEYS))
    assert noised.dtype == dtype
    expected = Gaussian(level=0.1).apply(points[:, :50], Draws(KEYS))
    # The same number of points as above: the random numbers depend on it.
    torch.testing.assert_close(noised.float(), expected, rtol=0.02, atol=0.02)
