from __future__ import annotations

import numpy as np
import pytest

from spa3d.data.formats.contract import Reading
from spa3d.data.formats.mesh_sampling import Surface, Texture, draw_points
from spa3d.errors import DataError

READING = Reading(count=4000, key=("mesh", 0), where="m.obj")
CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
HALVES = np.array([[0, 1, 2], [0, 2, 3]])
UV = CORNERS[:, :2]
FOUR = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


def square(**layers: object) -> Surface:
    return Surface(CORNERS, HALVES, **layers)  # type: ignore[arg-type]


def tall() -> Surface:
    """A triangle of area 3 beside the unit square."""
    return Surface(np.array([[5, 0, 0], [6, 0, 0], [5, 6, 0]], float), np.array([[0, 1, 2]]))


def test_draw_points_is_uniform_by_area_over_all_surfaces() -> None:
    cloud = draw_points([square(), tall()], READING)
    assert len(cloud) == 4000
    assert 0.22 < (cloud.points[:, 0] < 2).mean() < 0.28  # area 1 of 4
    inside = cloud.points[cloud.points[:, 0] < 2]
    assert np.allclose(inside.mean(0), [0.5, 0.5, 0], atol=0.03)
    assert abs(inside[:, 0].var() - 1 / 12) < 0.01
    assert (cloud.normals == [0, 0, 1]).all()
    assert cloud.colors is None


def test_draw_points_is_a_function_of_the_key_and_the_mesh() -> None:
    first = draw_points([square()], READING)
    again = draw_points([square()], Reading(count=4000, key=("mesh", 0), where="elsewhere.glb"))
    other = draw_points([square()], Reading(count=4000, key=("mesh", 1), where="m.obj"))
    assert (first.points == again.points).all()
    assert (first.points != other.points).any()
    assert first.notes == ("a mesh: 4,000 points drawn from 2 triangles",)


def test_draw_points_ignores_triangles_without_area() -> None:
    faces = np.array([[0, 0, 1], *HALVES, [2, 2, 2]])
    cloud = draw_points(
        [Surface(CORNERS, faces, face_colors=np.array([[1, 0, 0], *[[0, 1, 0]] * 2, [1, 0, 0]], "f4"))], READING
    )
    assert (cloud.colors == [0, 1, 0]).all()
    assert np.isfinite(cloud.normals).all()


def test_draw_points_colors_by_the_nearest_texel_with_v_up() -> None:
    cloud = draw_points([square(uv=UV, texture=Texture(FOUR))], READING)
    x, y = cloud.points[:, 0] > 0.5, cloud.points[:, 1] > 0.5
    assert (cloud.colors[~x & y] == [1, 0, 0]).all()
    assert (cloud.colors[x & y] == [0, 1, 0]).all()
    assert (cloud.colors[~x & ~y] == [0, 0, 1]).all()


@pytest.mark.parametrize(
    ("wrap", "u", "texel"),
    [
        ("repeat", 1.25, 0),
        ("repeat", -0.25, 1),
        ("clamp", 1.25, 1),
        ("clamp", -9, 0),
        ("mirror", 1.25, 1),
        ("mirror", -0.25, 0),
        ("mirror", 2.25, 0),
    ],
)
def test_texture_texels_wrap(wrap: str, u: float, texel: int) -> None:
    row = np.array([[[0, 0, 0], [1, 1, 1]]], np.uint8)
    texture = Texture(row, (wrap, "repeat"))  # type: ignore[arg-type]
    assert texture.texels(np.array([[u, 0.5]]))[0, 0] == texel


def test_draw_points_interpolates_vertex_colors() -> None:
    colors = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], "f4")
    cloud = draw_points([square(vertex_colors=colors)], READING)
    assert np.allclose(cloud.colors[:, :2], cloud.points[:, :2], atol=1e-6)


def test_draw_points_multiplies_in_linear_light_with_a_factor() -> None:
    gray = np.full((2, 2, 3), 188, np.uint8)  # 188/255 is 0.5029 in linear light
    cloud = draw_points([square(uv=UV, texture=Texture(gray), factor=(0.5, 1, 0, 1))], READING)
    assert np.allclose(cloud.colors, [0.5382, 188 / 255, 0], atol=1e-3)  # 0.2514 is 0.538 for display


def test_draw_points_interpolates_in_linear_light_with_a_factor() -> None:
    colors = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 1], [0, 0, 0]], "f4")
    cloud = draw_points([square(vertex_colors=colors, factor=(1, 1, 1, 1))], READING)
    middle = np.abs(cloud.points[:, 0] - 0.5) < 0.01
    assert np.allclose(cloud.colors[middle], 0.735, atol=0.01)


def test_draw_points_leaves_out_transparent_places() -> None:
    image = np.dstack([FOUR, np.array([[255, 255], [255, 0]], np.uint8)])
    cloud = draw_points([square(uv=UV, texture=Texture(image), cutoff=0.5)], READING)
    assert not ((cloud.points[:, 0] > 0.5) & (cloud.points[:, 1] < 0.5)).any()
    assert len(cloud) == 4000


def test_draw_points_notes_a_mesh_that_is_transparent_as_a_whole() -> None:
    cloud = draw_points([square(factor=(1, 0, 0, 0), cutoff=0.5)], READING)
    assert (cloud.colors == [1, 0, 0]).all()
    assert any("4,000 points lie on transparent places" in note for note in cloud.notes)


def test_draw_points_makes_parts_without_color_white_and_says_so() -> None:
    red = np.broadcast_to(np.array([1, 0, 0], "f4"), (2, 3))
    cloud = draw_points([square(face_colors=red), tall()], READING)
    assert {tuple(map(float, color)) for color in cloud.colors} == {(1, 0, 0), (1, 1, 1)}
    assert cloud.notes[1] == "1 of the 2 parts of the mesh have no color; they are white"


def test_draw_points_is_exact_far_from_the_origin() -> None:
    far = Surface(CORNERS * 1e-3 + 5e5, HALVES)
    points = draw_points([far], READING).points - 5e5
    assert points.min() > -1e-9
    assert points[:, :2].max() < 1e-3 + 1e-9


@pytest.mark.parametrize(
    ("surface", "message"),
    [
        (Surface(CORNERS, np.empty((0, 3), np.int64)), "a mesh without faces"),
        (Surface(CORNERS, np.array([[0, 1, 4]])), "a face of vertex 4, but the mesh has 4"),
        (Surface(CORNERS, np.array([[0, 1, -1]])), "a face of vertex -1"),
        (Surface(CORNERS * [0, 1, 0], HALVES), "all faces of the mesh have zero area"),
        (Surface(CORNERS * np.nan, HALVES), "NaN or infinity in 4 of the vertices"),
        (Surface(CORNERS * 1e300, HALVES), "NaN or infinity in 3 of the vertices"),
        (Surface(CORNERS, HALVES, uv=UV * np.nan, texture=Texture(FOUR)), "texture coordinates"),
    ],
)
def test_draw_points_refuses(surface: Surface, message: str) -> None:
    with pytest.raises(DataError, match=f"^m.obj: .*{message}"):
        draw_points([surface], READING)


def test_draw_points_ignores_nan_that_no_face_uses() -> None:
    vertices = np.vstack([CORNERS, [[np.nan] * 3]])
    assert np.isfinite(draw_points([Surface(vertices, HALVES)], READING).points).all()


def test_draw_points_refuses_a_count_out_of_range() -> None:
    with pytest.raises(DataError, match="0 points of a mesh"):
        draw_points([square()], Reading(count=0, where="m.obj"))
