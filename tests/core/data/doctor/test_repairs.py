"""Steps of a repair, with hand-worked numbers."""

from __future__ import annotations

import numpy as np
import pytest

from spa3d.data.doctor.repairs import UP_AXES, Repairs
from spa3d.data.formats.contract import Cloud
from spa3d.errors import DataError

POINTS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3], [1, 0, 0]])
COLORS = np.array([[0, 51, 255], [255, 0, 0], [0, 0, 0], [102, 0, 0], [0, 9, 0]], np.float32)


def cloud(points: np.ndarray = POINTS, colors: np.ndarray | None = COLORS, normals: np.ndarray | None = None) -> Cloud:
    return Cloud(points, colors, normals, source="thing.npy")


def test_steps_are_applied_in_their_order_and_logged() -> None:
    points = POINTS.copy()
    points[2, 1] = np.nan
    steps = Repairs(drop_invalid=True, colors=(0, 255), drop_duplicates=True, center=True, scale=3.0)
    repaired, log = steps.apply(cloud(points))
    third = 1 / 3
    np.testing.assert_allclose(repaired.points, [[-1, 0, -3], [2, 0, -3], [-1, 0, 6]], atol=1e-12)
    np.testing.assert_allclose(repaired.colors, [[0, 0.2, 1], [1, 0, 0], [0.4, 0, 0]], atol=1e-6)
    assert log == [
        "dropped 1 point with NaN or infinity",
        "scaled the colors from 0 to 255 to 0 to 1",
        "dropped 1 point that repeat another one",
        f"moved all points by ({-third:.9g}, -0, -1)",
        "scaled by 3",
    ]
    assert np.isnan(points[2, 1]), "the original is not changed"


@pytest.mark.parametrize("axis", UP_AXES)
def test_up_axis_turns_the_direction_to_y_without_mirroring(axis: str) -> None:
    up = np.zeros(3)
    up["xyz".index(axis[-1])] = -1 if axis.startswith("-") else 1
    points = np.stack([up, *np.eye(3)])
    repaired, _ = Repairs(up_axis=axis).apply(cloud(points, None, points.astype(np.float32)))
    np.testing.assert_array_equal(repaired.points[0], (0, 1, 0))
    assert np.linalg.det(repaired.points[1:]) == pytest.approx(1)
    np.testing.assert_array_equal(repaired.normals, repaired.points)


def test_scale_unit_is_the_normalization_of_a_run() -> None:
    repaired, _ = Repairs(scale=0.0).apply(cloud())
    np.testing.assert_allclose(repaired.points.mean(axis=0), 0, atol=1e-12)
    assert np.linalg.norm(repaired.points, axis=1).max() == pytest.approx(1)


def test_resample_draws_are_keyed_and_keep_colors_beside_points() -> None:
    for count in (3, 9):
        one, _ = Repairs(resample=count).apply(cloud(), key=("a",))
        again, _ = Repairs(resample=count).apply(cloud(), key=("a",))
        np.testing.assert_array_equal(one.points, again.points)
        rows = [int(np.flatnonzero((color == COLORS).all(axis=1))[0]) for color in one.colors[:3]]
        np.testing.assert_array_equal(one.points[:3], POINTS[rows])
        assert len(one) == count
    larger, _ = Repairs(resample=9).apply(cloud(), key=("a",))
    np.testing.assert_array_equal(larger.points[:5], POINTS)


def test_color_fills_only_clouds_without_color() -> None:
    gray = Repairs(color=(0.4, 0.4, 0.4))
    assert (gray.apply(cloud(colors=None))[0].colors == np.float32(0.4)).all()
    kept, log = gray.apply(cloud())
    assert kept.colors is COLORS
    assert log == ["kept its own colors"]
    replaced, _ = (Repairs(drop_colors=True) | gray).apply(cloud())
    assert (replaced.colors == np.float32(0.4)).all()


def test_colors_outside_their_declared_range_are_refused() -> None:
    with pytest.raises(DataError, match=r"thing\.npy: --colors 0-100: its colors reach from 0 to 255"):
        Repairs(colors=(0, 100)).apply(cloud())


def test_nothing_left_is_refused() -> None:
    with pytest.raises(DataError, match="no point is left"):
        Repairs(drop_invalid=True).apply(cloud(POINTS * np.nan))


def test_flags_are_those_of_the_command() -> None:
    steps = Repairs(True, (-1, 1), False, (0.4, 0.5, 1), True, False, "-z", True, 0.0, 4096)
    assert steps.flags() == (
        "--drop-invalid --colors -1-1 --color 0.4,0.5,1 --drop-duplicates --up-axis -z --center --scale unit "
        "--resample 4096"
    )
    assert not Repairs()
    assert Repairs(scale=0.001).flags() == "--scale 0.001"
    assert (Repairs(center=True) | Repairs(up_axis="z")).flags() == "--up-axis z --center"
