"""Measured figures of clouds, with hand-worked values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spa3d.data.doctor.color_facts import measure_colors
from spa3d.data.doctor.facts import measure
from spa3d.data.doctor.outliers import find_outliers
from spa3d.data.doctor.rows import count_repeats, find_repeats, hash_rows
from spa3d.data.doctor.scale import guess_scale
from spa3d.data.doctor.shape_facts import measure_shape
from spa3d.data.doctor.up_axis import guess_up_axis
from spa3d.data.formats.contract import Cloud


def test_measure_a_small_cloud() -> None:
    points = np.array([[0.0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0], [4, 3, 0], [np.inf, 0, 0]])
    facts = measure(Cloud(points, source="box", precision=np.dtype(np.float32)))
    assert (facts.points, facts.invalid, facts.first_invalid, facts.repeats, facts.distinct) == (6, 1, 5, 1, 4)
    assert (facts.low, facts.high, facts.extent) == ((0, 0, 0), (4, 3, 0), (4, 3, 0))
    assert facts.center == pytest.approx((2.4, 1.8, 0))
    assert facts.radius == pytest.approx(3.0)
    assert facts.rounding == pytest.approx(2**-22 / 3)
    assert facts.up_axis.axis == ""
    values = facts.to_json()
    assert values["up_axis"]["axis"] == "unknown"
    assert values["extent"] == (4, 3, 0)


def test_repeats_are_found_in_any_order_and_sign_of_zero() -> None:
    points = np.random.default_rng(0).random((5000, 3))
    points[[7, 300]] = points[4000]
    points[[1, 2]] = ((0.0, -0.0, 1.0), (-0.0, 0.0, 1.0))
    assert count_repeats(hash_rows(points)) == 3
    assert np.flatnonzero(find_repeats(points)).tolist() == [2, 300, 4000]


def test_outliers_lie_beyond_a_gap() -> None:
    draws = np.random.default_rng(0)
    ball = draws.standard_normal((1000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    assert find_outliers(ball).count == 0
    outliers = find_outliers(np.concatenate([ball, ball[:10] * 4, ball[:3] * 8]))
    assert outliers.count == 13
    assert outliers.shrinkage == pytest.approx(8, rel=0.1)
    spike = np.linspace(1, 6, 30)[:, None] * (0, 1, 0)
    assert find_outliers(np.concatenate([ball, spike])).count == 0, "a thin end has no gap"
    assert find_outliers(np.concatenate([ball, ball[:40] * 4])).count == 0, "more than 2 % are a part"


def test_spacing_of_a_square_grid() -> None:
    grid = np.stack(np.meshgrid(np.arange(40.0), np.arange(40.0), [0.0]), axis=-1).reshape(-1, 3)
    shape = measure_shape(np.random.default_rng(0).permutation(grid), 1600)
    assert shape.spacing == pytest.approx(1)
    assert shape.thickness == pytest.approx((1, 1, 0), abs=1e-6)
    assert measure_shape(np.random.default_rng(0).permutation(grid), 4 * 1600).spacing == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda unit: unit, "0-1"),
        (lambda unit: np.round(unit * 255), "0-255"),
        (lambda unit: unit * 200, "0-255"),
        (lambda unit: np.round(unit * 60000), "0-65535"),
        (lambda unit: unit * 2 - 1, "-1-1"),
        (lambda unit: unit * 1.5, "outside"),
        (lambda unit: unit * 300 - 9, "outside"),
        (lambda unit: unit / 255, "dark"),
        (lambda unit: unit * 0, "black"),
        (lambda unit: unit * 0 + 0.5, "flat"),
        (lambda unit: unit / np.linalg.norm(unit, axis=1, keepdims=True), "normals"),
        (lambda unit: np.eye(3)[np.arange(500) % 3], "0-1"),
    ],
)
def test_range_of_colors(make, name: str) -> None:  # type: ignore[no-untyped-def]
    unit = np.random.default_rng(0).random((500, 3))
    unit[0], unit[1] = 0.001, 1.0
    colors = make(unit)
    facts = measure_colors(colors, colors)
    assert facts.range == name
    assert facts.mean == pytest.approx(colors.mean(axis=0))


def test_scale_is_named_in_each_unit() -> None:
    def cloud(extent: float) -> Cloud:
        return Cloud(np.random.default_rng(0).random((100, 3)) * extent)

    chair = guess_scale(measure(cloud(80.0)))
    assert "in meters: a building; in centimeters: a piece of furniture or a person" in chair
    ball = Cloud(np.random.default_rng(0).standard_normal((4000, 3)))
    normalized = ball.points - ball.points.mean(axis=0)
    normalized /= np.linalg.norm(normalized, axis=1).max()
    assert guess_scale(measure(replace(ball, points=normalized))).startswith("normalized to the unit sphere")


def test_up_axis_of_a_turned_table(table: Cloud) -> None:
    for order, axis in (((0, 1, 2), "y"), ((2, 0, 1), "z"), ((1, 2, 0), "x")):
        assert guess_up_axis(table.points[:, order]).axis == axis
    ball = np.random.default_rng(0).standard_normal((4000, 3))
    assert guess_up_axis(ball / np.linalg.norm(ball, axis=1, keepdims=True)).axis == ""


def test_grid_is_measured_in_steps_and_float16_is_none() -> None:
    points = np.random.default_rng(0).random((3000, 3))
    assert measure(Cloud(np.round(points * 20) / 20)).levels == 20
    assert measure(Cloud(points)).levels == 0
    assert not 0 < measure(Cloud(points.astype(np.float16).astype(np.float64))).levels < 1000
