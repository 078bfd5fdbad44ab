import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spa3d.rendering.point_cloud import BACKGROUND, choose_yaw, render, rotate_y_up
from spa3d.rendering.sheets import Strip, draw_comparison_sheet, draw_contact_sheet

RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def ball(center: tuple[float, float, float], rgb: tuple[float, float, float], points: int = 300) -> np.ndarray:
    directions = np.random.default_rng(0).standard_normal((points, 3))
    directions /= 5 * np.linalg.norm(directions, axis=1, keepdims=True)
    return np.hstack([directions + center, np.tile(rgb, (points, 1))]).astype("float32")


def where(picture: np.ndarray, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels in which `channel` clearly leads."""
    rest = np.delete(picture.astype(int), channel, axis=2).max(2)
    return np.nonzero(picture[..., channel].astype(int) > rest + 60)


def test_render_up_and_right() -> None:
    stacked = render(np.vstack([ball((0, 1, 0), RED), ball((0, -1, 0), BLUE)]), size=64, yaw=0, pitch=0)
    assert where(stacked, 0)[0].max() < 32 < where(stacked, 2)[0].min()
    side = render(np.vstack([ball((1, 0, 0), RED), ball((-1, 0, 0), BLUE)]), size=64, yaw=0, pitch=0)
    assert where(side, 2)[1].max() < 32 < where(side, 0)[1].min()


@pytest.mark.parametrize(("yaw", "front"), [(0, 0), (180, 2)])
def test_render_nearer_points_hide_farther_ones(yaw: float, front: int) -> None:
    cloud = np.vstack([ball((0, 0, 1), RED), ball((0, 0, -1), BLUE)])
    picture = render(cloud, size=64, yaw=yaw, pitch=0)
    assert len(where(picture, front)[0]) > 50
    assert len(where(picture, 2 - front)[0]) == 0
    # The order of the points decides nothing but ties.
    np.testing.assert_allclose(picture, render(cloud[::-1], size=64, yaw=yaw, pitch=0), atol=2)


def test_render_from_above() -> None:
    cloud = np.vstack([ball((0, 1, 0), RED), ball((0, -1, 0), BLUE)])
    assert len(where(render(cloud, size=64, yaw=0, pitch=90), 2)[0]) == 0


def test_render_yaw_equals_turning_the_object() -> None:
    cloud = np.vstack([ball((0.3, 0.5, 1), RED), ball((-1, 0, 0), BLUE)])
    turn = np.radians(40)
    turned = cloud.copy()
    turned[:, 0] = cloud[:, 0] * np.cos(turn) - cloud[:, 2] * np.sin(turn)
    turned[:, 2] = cloud[:, 0] * np.sin(turn) + cloud[:, 2] * np.cos(turn)
    walked, still = render(cloud, size=64, yaw=40, pitch=10), render(turned, size=64, yaw=0, pitch=10)
    # The frame is the bounding box, which turns with the axes: compare what is seen, not where.
    for channel in (0, 2):
        assert len(where(walked, channel)[0]) == pytest.approx(len(where(still, channel)[0]), rel=0.25)


def test_render_is_independent_of_position_and_scale() -> None:
    cloud = ball((0, 0, 0), RED)
    moved = cloud * np.array([50, 50, 50, 1, 1, 1]) + np.array([7, -3, 1, 0, 0, 0])
    one, other = render(cloud, size=48, yaw=0), render(moved, size=48, yaw=0)
    assert (one.shape, one.dtype) == ((48, 48, 3), np.uint8)
    assert np.mean(np.abs(one.astype(int) - other) > 8) < 0.02


def test_render_draws_the_largest_coordinates_of_float32() -> None:
    cloud = np.vstack([ball((1, 1, 0), RED), ball((-1, -1, 0), BLUE)])
    largest = cloud * np.float32([2.7e38] * 3 + [1] * 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = render(largest, size=48)
    assert np.mean(np.abs(picture.astype(int) - render(cloud, size=48)) > 8) < 0.02


def test_render_background_and_colorless_cloud() -> None:
    picture = render(ball((0, 0, 0), (0.0, 0.0, 0.0)), size=48, yaw=0)
    np.testing.assert_allclose(picture[0, 0] / 255, BACKGROUND, atol=0.01)
    middle = picture[24, 24].astype(int)
    assert 40 < middle.min() <= middle.max() < 190


def test_render_one_and_many_points() -> None:
    for points in (1, 2, 20000):
        assert len(where(render(ball((1, 2, 3), RED, points), size=32), 0)[0]) >= 1


def test_choose_yaw_shows_the_broad_side_with_high_parts_behind() -> None:
    seat = np.random.default_rng(0).uniform((-3, 0, -1), (3, 0.1, 1), (400, 3))
    back = np.random.default_rng(1).uniform((-3, 0, -1), (3, 2, -0.9), (400, 3))
    bench = np.vstack([seat, back])
    assert abs(choose_yaw(bench)) == pytest.approx(32, abs=8)
    behind = bench * (-1, 1, -1)
    assert abs(abs(choose_yaw(behind)) - 180) == pytest.approx(32, abs=8)


def test_draw_contact_sheet_cells(tmp_path: Path) -> None:
    clouds = [ball((0, 0, 0), RED), ball((0, 0, 0), BLUE), ball((0, 0, 0), RED)]
    labels = ["a short one", "<b>[/red]</b> " + "very long words " * 40, ""]
    draw_contact_sheet(clouds, labels, tmp_path / "sheet.png", columns=2, size=80)
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    assert pixels.shape[1] == 160
    tall = pixels.shape[0] // 2
    assert tall > 80
    assert len(where(pixels[:80, :80], 0)[0]) > len(where(pixels[:80, 80:], 0)[0]) == 0
    assert len(where(pixels[:80, 80:], 2)[0]) > 100
    assert len(where(pixels[tall : tall + 80, :80], 0)[0]) > 100
    assert (pixels[tall:, 80:] == 255).all(), "the empty cell is blank"
    assert (pixels[80:tall, :80] < 100).any(), "the label is written"


def test_draw_contact_sheet_empty(tmp_path: Path) -> None:
    draw_contact_sheet([], [], tmp_path / "sheet.png", size=40)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] == 40


def test_draw_contact_sheet_rejects_missing_labels(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        draw_contact_sheet([ball((0, 0, 0), RED)], [], tmp_path / "sheet.png", size=40)


def test_render_like_uses_the_frame_of_another_cloud() -> None:
    """One of two balls fills the picture; with `like` it has its size and position in the pair."""
    right, both = ball((1, 0, 0), RED), np.vstack([ball((1, 0, 0), RED), ball((-1, 0, 0), BLUE)])
    alone, whole = render(right, size=64, yaw=0, pitch=0), render(both, size=64, yaw=0, pitch=0)
    part = render(right, size=64, yaw=0, pitch=0, like=both)
    assert len(where(alone, 0)[0]) > 5 * len(where(whole, 0)[0])
    assert where(part, 0)[1].min() > 32
    assert abs(len(where(part, 0)[0]) - len(where(whole, 0)[0])) < 10


def test_render_reach_leaves_out_far_points() -> None:
    near, both = ball((0, 0, 0), RED), np.vstack([ball((0, 0, 0), RED), ball((1, 0, 0), BLUE)])
    for reach, seen in ((1.0, 0), (8.0, 1)):
        picture = render(both, size=64, yaw=0, pitch=0, like=near, reach=reach)
        assert (len(where(picture, 2)[0]) > 0) == seen
        assert len(where(picture, 0)[0]) > 0
    empty = render(ball((9, 0, 0), BLUE), size=64, yaw=0, like=near)
    np.testing.assert_allclose(empty / 255, np.broadcast_to(BACKGROUND, empty.shape), atol=0.01)


def test_draw_comparison_sheet_rows_and_cells(tmp_path: Path) -> None:
    red, blue = ball((0, 0, 0), RED), ball((0, 0, 0), BLUE)
    strips = [Strip("one", "its meaning", [red, blue], ["a", "b"]), Strip("two " * 30, "long " * 200, [blue], ["c"])]
    draw_comparison_sheet([("title", strips), ("[/red]<b>" * 40, strips[:1])], tmp_path / "sheet.png", size=100)
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    assert pixels.shape[1] == 300
    reds, blues = (where(pixels[:, 100:], channel) for channel in (0, 2))
    assert reds[1].max() < 100, "the clean cloud stands first"
    middle = int(np.median(reds[0]))
    assert (blues[0] < middle).any()
    assert (blues[0] > middle).any()
    gray = pixels[:, :100].max(axis=2) - pixels[:, :100].min(axis=2)
    assert gray.max() < 60, "nothing but ink on the left"
    assert (pixels[:, :100] < 100).any()


def test_draw_comparison_sheet_empty(tmp_path: Path) -> None:
    draw_comparison_sheet([], tmp_path / "sheet.png", size=40)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (40, 1)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_rotate_y_up_does_not_mirror(axis: str) -> None:
    corner = np.eye(6, dtype="float32")
    turned = rotate_y_up(corner, axis)
    assert turned["xyz".index(axis), 1] == 1
    assert np.linalg.det(turned[:3, :3]) == pytest.approx(1)
    np.testing.assert_array_equal(turned[:, 3:], corner[:, 3:])
