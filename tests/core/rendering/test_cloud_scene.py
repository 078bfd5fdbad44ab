"""Clouds of a page: common frame, size, and orientation."""

import base64
import io
from functools import partial

import numpy as np
import pytest
from PIL import Image

from spa3d.rendering.cloud_scene import MOST_POINTS, PICTURE_SIZE, build_scene
from spa3d.runtime.rng import keyed_generator

MAKE_RNG = partial(keyed_generator, "report", "r")
ROW = np.dtype([("xyz", "<i2", 3), ("rgb", "u1", 3)])


def unpack(view):
    rows = np.frombuffer(base64.b64decode(view.points), ROW)
    return rows["xyz"] / 32767 * 2, rows["rgb"]


def cloud(*points):
    return np.array([[*point, 1.0, 0.5, 0.0] for point in points], dtype=np.float32)


CROSS = cloud((10, 0, 0), (12, 0, 0), (11, 1, 0), (11, -1, 0))


def test_build_scene_uses_the_frame_of_the_clean_cloud():
    scene = build_scene(CROSS, CROSS[:2], up_axis="y", make_rng=MAKE_RNG)
    clean, colors = unpack(scene.clean)
    noised, _ = unpack(scene.noised)
    assert clean == pytest.approx(np.array([[-1, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0]]), abs=1e-4)
    assert noised == pytest.approx(clean[:2])
    assert colors[0].tolist() == [255, 128, 0]


@pytest.mark.parametrize(("up_axis", "top"), [("x", (1, 0, 0)), ("y", (0, 1, 0)), ("z", (0, 0, 1))])
def test_build_scene_up_axis(up_axis, top):
    up = np.array(top)
    scene = build_scene(cloud(up, -up), cloud(up, -up), up_axis=up_axis, make_rng=MAKE_RNG)
    assert unpack(scene.clean)[0][0] == pytest.approx((0, 1, 0), abs=1e-4)


@pytest.mark.parametrize("up_axis", ["x", "y", "z"])
def test_build_scene_does_not_mirror(up_axis):
    corner = np.concatenate([np.zeros((1, 3)), np.eye(3)])
    turned = unpack(build_scene(cloud(*corner), CROSS, up_axis=up_axis, make_rng=MAKE_RNG).clean)[0]
    assert np.linalg.det(turned[1:] - turned[0]) > 0


def test_build_scene_thins_large_clouds_and_clips_far_points():
    large = keyed_generator("large").standard_normal((5000, 6), dtype=np.float32)
    noised = large.copy()
    noised[:, :3] *= 100
    scene = build_scene(large, noised, up_axis="y", make_rng=MAKE_RNG)
    clean, _ = unpack(scene.clean)
    far, _ = unpack(scene.noised)
    assert len(clean) == len(far) == MOST_POINTS
    assert np.abs(far).max() == pytest.approx(2)
    assert build_scene(large, noised, up_axis="y", make_rng=MAKE_RNG) == scene


def test_build_scene_single_point_without_color():
    dot = np.zeros((1, 6), dtype=np.float32)
    scene = build_scene(dot, dot, up_axis="y", make_rng=MAKE_RNG)
    assert unpack(scene.clean)[0].tolist() == [[0, 0, 0]]
    assert scene.grain == 0


def test_build_scene_draws_one_cloud_once():
    same, equal = (build_scene(CROSS, other, up_axis="y", make_rng=MAKE_RNG) for other in (CROSS, CROSS.copy()))
    assert same == equal
    assert same.noised is same.clean


def test_build_scene_picture_is_png():
    scene = build_scene(CROSS, CROSS, up_axis="y", make_rng=MAKE_RNG)
    kind, data = scene.clean.picture.split(",")
    assert kind == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.size == (PICTURE_SIZE, PICTURE_SIZE)
    assert len(picture.convert("RGB").getcolors(10**6)) > 2
