import math

import numpy as np
import pytest

from spa3d_plugins.datasets.shapes_world.meshes import (
    Mesh,
    box,
    ellipsoid,
    join,
    lathe,
    normals,
    ring,
    rod,
    sample,
    slab,
)


def area(mesh: Mesh) -> float:
    return float(np.linalg.norm(normals(mesh), axis=1).sum() / 2)


def spread_over(mesh: Mesh, points: int = 4000) -> np.ndarray:
    return sample(mesh, np.random.default_rng(0).random((points, 3)))[0]


def test_areas_by_hand() -> None:
    assert area(box((1, 2, 3))) == pytest.approx(2 * (2 + 3 + 6))
    assert area(slab([(0, 0), (4, 0), (0, 3)], 2.0)) == pytest.approx(2 * 6 + 2 * (3 + 4 + 5))
    # Facets lose a little against the round solid.
    assert area(ellipsoid((1, 1, 1))) == pytest.approx(4 * math.pi, rel=0.05)
    assert area(ring(1.0, 0.2)) == pytest.approx(4 * math.pi**2 * 0.2, rel=0.06)
    assert area(rod((0, 0, 0), (0, 2, 0), 0.5)) == pytest.approx(2 * math.pi * 0.5 * 2 + 2 * math.pi * 0.25, rel=0.05)


@pytest.mark.parametrize("end", [(0.0, 2.0, 0.0), (1.0, 2.0, -2.0), (3.0, 0.0, 0.0), (0.0, 0.0, -1.0)])
def test_a_rod_runs_from_start_to_end(end: tuple[float, float, float]) -> None:
    start, axis = np.array((0.5, -1.0, 0.2)), np.array(end)
    corners = rod(tuple(start), tuple(start + axis), 0.3, 0.1).reshape(-1, 3) - start
    along = corners @ axis / (axis @ axis)
    across = np.linalg.norm(corners - along[:, None] * axis, axis=1)
    assert (along.min(), along.max()) == pytest.approx((0, 1))
    assert across[along < 0.5].max() == pytest.approx(0.3)
    assert across[along > 0.5].max() == pytest.approx(0.1)


def test_round_solids_have_their_radii() -> None:
    ball = (ellipsoid((1, 2, 3), (5, 6, 7)).reshape(-1, 3) - (5, 6, 7)) / (1, 2, 3)
    np.testing.assert_allclose(np.linalg.norm(ball, axis=1), 1)
    torus = ring(1.0, 0.25, (0, 0, 4)).reshape(-1, 3) - (0, 0, 4)
    np.testing.assert_allclose(np.hypot(np.hypot(torus[:, 0], torus[:, 1]) - 1.0, torus[:, 2]), 0.25)
    cone = lathe([(1, 0), (0, 2)]).reshape(-1, 3)
    np.testing.assert_allclose(np.hypot(cone[:, 0], cone[:, 2]), 1 - cone[:, 1] / 2, atol=1e-12)


def test_points_lie_on_the_surface_in_proportion_to_area() -> None:
    points = spread_over(box((1, 1, 4)))
    on_face = np.isclose(np.abs(points), (0.5, 0.5, 2.0))
    assert on_face.any(1).all()
    # The two small faces have 2 of 18 parts of the area.
    assert on_face[:, 2].mean() == pytest.approx(2 / 18, abs=0.01)
    assert np.abs(points.mean(0)).max() < 0.08


def test_degenerate_triangles_get_no_point() -> None:
    flat = np.zeros((3, 3, 3))
    assert np.abs(spread_over(join(flat, box((1, 1, 1)), flat))).max(1) == pytest.approx(0.5)
