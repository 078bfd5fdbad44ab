import itertools

import numpy as np
import pytest

from spa3d_plugins.datasets.shapes_world.categories import CATEGORIES, COLORS, TEXTURES, USES
from spa3d_plugins.datasets.shapes_world.category import WOBBLES, Category, Counts
from spa3d_plugins.datasets.shapes_world.meshes import Mesh

each = pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.name)


def usual_counts(category: Category) -> Counts:
    return tuple(part.usual for part in category.parts)


def pieces(mesh: Mesh) -> list[np.ndarray]:
    """The corners of each connected piece: triangles hang together where they share a corner."""
    corners, named = np.unique(mesh.reshape(-1, 3).round(9), axis=0, return_inverse=True)
    owner = np.arange(len(corners))
    triangles = named.reshape(-1, 3)
    while True:
        lowest = owner[triangles].min(1)
        before = owner.copy()
        np.minimum.at(owner, triangles, lowest[:, None])
        if (owner == before).all():
            return [corners[owner == one] for one in np.unique(owner)]


def test_the_world_is_large_enough() -> None:
    names = [category.name for category in CATEGORIES]
    assert len(set(names)) == len(names) >= 22
    assert 8 <= len(USES) <= 12
    assert {category.texture for category in CATEGORIES} == set(TEXTURES)
    assert sum(any(part.counts for part in category.parts) for category in CATEGORIES) >= 12


@each
def test_a_category_is_well_formed(category: Category) -> None:
    assert 2 <= len(category.parts) <= 3
    assert len({part.name for part in category.parts}) == len(category.parts)
    assert sum(part.share for part in category.parts) == pytest.approx(1)
    assert not category.parts[0].counts, "the main part carries the texture and is not counted"
    for part in category.parts:
        assert part.color in COLORS
        assert part.usual in part.counts or not part.counts
        assert len(set(part.counts)) == len(part.counts)
        assert not part.counts or len(part.counts) >= 4, "a question needs four options"


@each
def test_counted_part_has_count_pieces(category: Category) -> None:
    for i, part in enumerate(category.parts):
        for count in part.counts:
            counts = (*usual_counts(category)[:i], count, *usual_counts(category)[i + 1 :])
            assert len(pieces(category.build((0.5,) * WOBBLES, counts)[i])) == count


@each
def test_the_pieces_stand_apart(category: Category) -> None:
    """So far that the point noise of .012 cannot join them."""
    most = tuple(max(part.counts, default=0) for part in category.parts)
    for part, mesh in zip(category.parts, category.build((0.0,) * WOBBLES, most), strict=True):
        if part.counts:
            for one, other in itertools.combinations(pieces(mesh), 2):
                gap = np.linalg.norm(one[:, None] - other, axis=-1).min()
                assert gap > 0.05, f"{part.name} are {gap:.3f} apart"


@each
def test_other_parts_do_not_depend_on_a_count(category: Category) -> None:
    meshes = category.build((0.3,) * WOBBLES, usual_counts(category))
    for i, part in enumerate(category.parts):
        for count in part.counts:
            counts = (*usual_counts(category)[:i], count, *usual_counts(category)[i + 1 :])
            for j, changed in enumerate(category.build((0.3,) * WOBBLES, counts)):
                if j != i:
                    np.testing.assert_array_equal(changed, meshes[j])


@each
@pytest.mark.parametrize("wobble", [-1.0, 1.0])
def test_category_has_a_plausible_size_at_extreme_wobbles(category: Category, wobble: float) -> None:
    corners = np.concatenate(category.build((wobble,) * WOBBLES, usual_counts(category))).reshape(-1, 3)
    assert np.isfinite(corners).all()
    assert 1.0 < np.ptp(corners, axis=0).max() < 3.0


def test_colors_and_their_lighter_marks_keep_their_names() -> None:
    from spa3d_plugins.datasets.shapes_world.textures import lighten

    palette = np.array(list(COLORS.values()))
    apart = np.linalg.norm(palette[:, None] - palette, axis=-1) + np.eye(len(palette))
    assert apart.min() > 0.35, "seven standard deviations of the color noise"
    for i, name in enumerate(COLORS):
        marks = np.linalg.norm(palette - lighten(name), axis=-1)
        assert np.delete(marks, i).min() > 0.25, f"stripes on {name} look like another color"
