import pytest
import torch
from torch import Tensor

from spa3d.runtime.rng import Draws
from spa3d_plugins.noise.color_strip import ColorStrip

KEYS = [(0, 3, f"record-{number}", "noised") for number in range(3)]


@pytest.fixture(scope="module")
def points() -> Tensor:
    draws = Draws(KEYS)
    return torch.cat([draws.normal(50, 3), draws.uniform(50, 3)], dim=-1)


def one(*rgb: float) -> Tensor:
    return torch.tensor([[[0.5, -1.0, 2.0, *rgb]]])


def fade(rgb: tuple[float, float, float], level: float, **options: str) -> list[float]:
    return ColorStrip(level=level, **options).apply(one(*rgb), Draws(KEYS[:1]))[0, 0, 3:].tolist()


@pytest.mark.parametrize(
    ("rgb", "gray"), [((1, 0, 0), 0.299), ((0, 1, 0), 0.587), ((0, 0, 1), 0.114), ((1, 1, 0), 0.886), ((0, 0, 0), 0)]
)
def test_level_1_leaves_the_luminance(rgb: tuple[float, float, float], gray: float) -> None:
    assert fade(rgb, 1) == pytest.approx([gray] * 3)


def test_level_1_is_gray_to_the_last_bit(points: Tensor) -> None:
    rgb = ColorStrip(level=1).apply(points, Draws(KEYS))[..., 3:]
    assert torch.equal(rgb, rgb[..., :1].expand_as(rgb))
    assert ((rgb >= 0) & (rgb <= 1)).all()


def test_partial_fading_by_hand() -> None:
    """(1, 0, 0) + 0.25 ((0.299, 0.299, 0.299) - (1, 0, 0)) = (0.82475, 0.07475, 0.07475)."""
    assert fade((1, 0, 0), 0.25) == pytest.approx([0.82475, 0.07475, 0.07475])
    assert fade((0.8, 0.4, 0.2), 0.5, towards="black") == pytest.approx([0.4, 0.2, 0.1])
    assert fade((0.8, 0.4, 0.2), 1, towards="black") == [0, 0, 0]


def test_luminance_and_coordinates_are_unchanged(points: Tensor) -> None:
    weights = torch.tensor([0.299, 0.587, 0.114])
    for level in (0.1, 0.5, 1):
        noised = ColorStrip(level=level).apply(points, Draws(KEYS))
        torch.testing.assert_close(noised[..., 3:] @ weights, points[..., 3:] @ weights)
        assert torch.equal(noised[..., :3], points[..., :3])


def test_result_does_not_depend_on_the_key(points: Tensor) -> None:
    others = [("another", number) for number in range(3)]
    assert torch.equal(*(ColorStrip(level=0.4).apply(points, Draws(keys)) for keys in (KEYS, others)))


def test_measure_level_is_0_for_clouds_already_in_the_target_color(points: Tensor) -> None:
    """Gray stays gray, but fades to black; black never changes."""
    gray, black = points.clone(), points.clone()
    gray[..., 3:], black[..., 3:] = points[..., 3:4], 0
    for towards, expected in (("gray", [0.75, 0, 0]), ("black", [0.75, 0.75, 0])):
        noise = ColorStrip(level=0.75, towards=towards)
        clouds = torch.cat([points[:1], gray[:1], black[:1]])
        assert noise.measure_level(clouds, noise.apply(clouds, Draws(KEYS))).tolist() == expected


def test_cloud_without_color_is_returned_unchanged() -> None:
    points = Draws(KEYS).normal(5, 3)
    noise = ColorStrip()
    noised = noise.apply(points, Draws(KEYS))
    assert torch.equal(noised, points)
    assert noise.measure_level(points, noised).tolist() == [0, 0, 0]


def test_towards_accepts_gray_and_black_only() -> None:
    with pytest.raises(ValueError, match="towards"):
        ColorStrip(towards="white")
