from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from spa3d.runtime.rng import keyed_generator
from spa3d_plugins.datasets.shapes_world.categories import BY_NAME, CATEGORIES, COLORS, TEXTURES
from spa3d_plugins.datasets.shapes_world.category import Category
from spa3d_plugins.datasets.shapes_world.objects import (
    Noise,
    Priors,
    SampledCloud,
    Spec,
    change_spec,
    draw_spec,
    sample_object,
)

NOISE = Noise(0.012, 0.05)
UNIFORM = Priors(0, 0, 0)
each = pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.name)


def spec_of(category: Category, texture: str = "smooth") -> Spec:
    return replace(draw_spec(category, keyed_generator("spec", category.name), UNIFORM), texture=texture)


def sample(spec: Spec, *, noise: Noise = NOISE, key: str = "cloud", points: int = 1024) -> SampledCloud:
    return sample_object(spec, keyed_generator(key), points, noise)


def nearest(rgb: np.ndarray) -> Counter[str]:
    """How many points have each name."""
    names, palette = list(COLORS), np.array(list(COLORS.values()))
    apart = np.linalg.norm(rgb[:, None] - palette, axis=-1)
    return Counter(names[i] for i in apart.argmin(1))


@each
def test_the_points_of_a_part_have_its_color(category: Category) -> None:
    for texture in TEXTURES:
        spec = spec_of(category, texture)
        cloud, labels = (one := sample(spec)).cloud, one.labels
        for i, color in enumerate(spec.colors):
            named = nearest(cloud[labels == i, 3:])
            marked = texture in ("striped", "spotted") and i == 0
            share = named[color] / named.total()
            assert share > (0.25 if marked else 0.75), f"{texture} {color} {category.parts[i].name}: {named}"
            assert max(named, key=lambda name: named[name]) == color or marked


@each
def test_cloud_is_valid(category: Category) -> None:
    for number in range(5):
        one = sample(spec_of(category), key=f"cloud {number}")
        assert one.cloud.shape == (1024, 6)
        assert one.cloud.dtype == np.float32
        assert np.isfinite(one.cloud).all()
        assert 0 <= one.cloud[:, 3:].min() <= one.cloud[:, 3:].max() <= 1
        assert 0.7 < np.linalg.norm(one.cloud[:, :3], axis=1).max() < 1.35
        result = np.bincount(one.labels) / 1024
        np.testing.assert_allclose(result, [part.share for part in category.parts], atol=0.002)


def test_order_of_points_is_random() -> None:
    labels = sample(spec_of(BY_NAME["chair"])).labels
    assert np.mean(labels[:-1] == labels[1:]) == pytest.approx(0.36**2 + 0.34**2 + 0.30**2, abs=0.05)


def test_the_same_key_gives_the_same_cloud_and_another_key_another() -> None:
    spec = spec_of(BY_NAME["car"])
    np.testing.assert_array_equal(sample(spec).cloud, sample(spec).cloud)
    assert np.abs(sample(spec).cloud - sample(spec, key="other").cloud).max() > 0.1


def test_poses_turn_about_the_up_axis_alone() -> None:
    spec = spec_of(BY_NAME["sword"])
    clouds = [sample(spec, key=f"pose {i}", noise=Noise(0, 0)) for i in range(40)]
    blades = [one.cloud[one.labels == 0, :3] for one in clouds]
    assert all(np.ptp(blade[:, 1]) > 3 * np.ptp(blade[:, 0]) for blade in blades), "the blade always points up"
    guards = [one.cloud[one.labels == 1][:, (0, 2)] for one in clouds]
    along_x = [np.ptp(guard[:, 0]) / np.ptp(guard, axis=0).sum() for guard in guards]
    assert min(along_x) < 0.35
    assert max(along_x) > 0.65


@each
@pytest.mark.parametrize("texture", TEXTURES)
def test_a_changed_color_changes_only_the_color_of_that_part(category: Category, texture: str) -> None:
    spec = spec_of(category, texture)
    for i, color in enumerate(spec.colors):
        other = next(name for name in COLORS if name != color)
        before, after = (
            sample(spec),
            sample(replace(spec, colors=(*spec.colors[:i], other, *spec.colors[i + 1 :]))),
        )
        np.testing.assert_array_equal(before.cloud[:, :3], after.cloud[:, :3])
        np.testing.assert_array_equal(before.labels, after.labels)
        changed = (before.cloud != after.cloud).any(1)
        assert changed[before.labels == i].mean() > 0.95
        assert not changed[before.labels != i].any()


@each
def test_a_changed_count_moves_only_the_counted_points(category: Category) -> None:
    spec = spec_of(category)
    for i, part in enumerate(category.parts):
        for count in set(part.counts) - {spec.counts[i]}:
            twin = replace(spec, counts=(*spec.counts[:i], count, *spec.counts[i + 1 :]))
            before, after = sample(spec), sample(twin)
            np.testing.assert_array_equal(before.labels, after.labels)
            np.testing.assert_array_equal(before.cloud[:, 3:], after.cloud[:, 3:])
            moved = (before.cloud[:, :3] != after.cloud[:, :3]).any(1)
            assert not moved[before.labels != i].any()
            assert moved[before.labels == i].mean() > 0.2


@each
def test_a_changed_texture_touches_only_the_main_part(category: Category) -> None:
    spec = spec_of(category)
    smooth = sample(spec)
    rest = smooth.labels != 0
    for texture in TEXTURES[1:]:
        other = sample(replace(spec, texture=texture))
        np.testing.assert_array_equal(smooth.cloud[rest], other.cloud[rest])
        moved = (smooth.cloud[:, :3] != other.cloud[:, :3]).any(1)
        painted = (smooth.cloud[:, 3:] != other.cloud[:, 3:]).any(1)
        if texture == "rough":
            assert moved[~rest].mean() > 0.99
        else:
            assert not moved.any()
            assert 0.1 < painted[~rest].mean() < 0.85, texture


def test_roughness_is_bumps_of_known_depth() -> None:
    spec = spec_of(BY_NAME["table"], "rough")
    smooth, rough = (sample(replace(spec, texture=name), noise=Noise(0, 0)) for name in ("smooth", "rough"))
    shift = (rough.cloud - smooth.cloud)[smooth.labels == 0, :3]
    assert np.sqrt((shift**2).sum(1).mean()) == pytest.approx(0.05, rel=0.15)


@each
def test_a_twin_spec_differs_in_exactly_the_fact_it_names(category: Category) -> None:
    spec = spec_of(category)
    kinds = Counter[str]()
    for number in range(60):
        twin, kind, subject = change_spec(spec, keyed_generator("twin", number))
        names = [part.name for part in category.parts]
        differences = [("texture", "")] * (twin.texture != spec.texture)
        differences += [("color", n) for n, a, b in zip(names, twin.colors, spec.colors, strict=True) if a != b]
        differences += [("count", n) for n, a, b in zip(names, twin.counts, spec.counts, strict=True) if a != b]
        assert differences == [(kind, subject)]
        assert twin.category == spec.category
        kinds[kind] += 1
    counted = any(part.counts for part in category.parts)
    assert set(kinds) == {"color", "texture", "count"} - (set() if counted else {"count"})
    assert min(kinds.values()) > 8
