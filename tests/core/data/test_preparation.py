from collections.abc import Callable

import numpy as np
import pytest
import torch

from spa3d.contracts.dataset import CAPTION, Conversation, Record, Round
from spa3d.data.preparation import Preparation, encoder_inputs, load_valid_cloud, normalize_cloud, prepare, resample
from spa3d.errors import DataError
from spa3d.runtime.rng import Draws, keyed_generator


def cloud(number: int, *key: str | int) -> np.ndarray:
    stream = keyed_generator("cloud", *key)
    return np.concatenate(
        [5 + 3 * stream.standard_normal((number, 3)), stream.random((number, 3))], axis=1, dtype=np.float32
    )


def test_normalize_cloud() -> None:
    xyz = np.array([[0, 0, 0], [4, 0, 0], [2, 1, 0], [2, -1, 0]], dtype=np.float32)
    assert normalize_cloud(xyz).tolist() == [[-1, 0, 0], [1, 0, 0], [0, 0.5, 0], [0, -0.5, 0]]


def test_normalize_cloud_far_and_large_cloud() -> None:
    far = cloud(2000)[:, :3] * 1000 + 1e5
    unit = normalize_cloud(far)
    assert unit.dtype == np.float32
    assert np.abs(unit.mean(axis=0)).max() < 1e-6
    assert np.linalg.norm(unit, axis=1).max() == pytest.approx(1, abs=1e-6)


def test_prepare_rejects_coinciding_points() -> None:
    with pytest.raises(DataError, match="7 points of the cloud all lie in one place"):
        prepare(np.ones((7, 6), dtype=np.float32), key=("a",))


def test_prepare_changes_neither_input_nor_real_colors() -> None:
    source = cloud(50)
    kept = source.copy()
    ready = prepare(source, key=("a",))
    assert np.array_equal(source, kept)
    assert np.array_equal(ready[:, 3:], source[:, 3:])
    ready[:] = 0
    assert np.array_equal(source, kept)


def test_prepare_fills_missing_color() -> None:
    assert (
        prepare(cloud(50), Preparation(missing_color=0.4), key=("a",), has_color=False)[:, 3:] == np.float32(0.4)
    ).all()
    assert (prepare(cloud(50), key=("a",), has_color=False)[:, 3:] == 0).all()


def test_prepare_takes_black_for_missing_color_where_nobody_knows() -> None:
    gray, colored, black = Preparation(missing_color=0.4), cloud(50), cloud(50)
    black[:, 3:] = 0
    assert (prepare(black, gray, key=("a",), has_color=None)[:, 3:] == np.float32(0.4)).all()
    assert (prepare(black, gray, key=("a",))[:, 3:] == 0).all()
    np.testing.assert_array_equal(prepare(colored, gray, key=("a",), has_color=None)[:, 3:], colored[:, 3:])


def test_prepare_without_normalization() -> None:
    source = cloud(50)
    assert np.array_equal(prepare(source, Preparation(normalize=False), key=("a",)), source)


def test_prepare_resamples_before_normalization() -> None:
    ready = prepare(cloud(500), Preparation(count=40), key=("a",))
    assert ready.shape == (40, 6)
    assert ready.dtype == np.float32
    assert np.linalg.norm(ready[:, :3], axis=1).max() == pytest.approx(1, abs=1e-6)
    assert np.abs(ready[:, :3].mean(axis=0)).max() < 1e-6


@pytest.mark.parametrize("method", ["fps", "random"])
def test_resample_larger_cloud(method: str) -> None:
    source = cloud(300)
    some = resample(source, 64, method, Draws([("a",)]))
    rows = {tuple(row) for row in source}
    assert len({tuple(row) for row in some}) == 64
    assert all(tuple(row) in rows for row in some)


def test_resample_fps_line() -> None:
    line = np.zeros((11, 6), dtype=np.float32)
    line[:, 0] = np.arange(11)
    assert resample(line, 3, "fps", Draws([("a",)]))[:, 0].tolist() == [0, 10, 5]


def test_prepare_random_subset_depends_on_the_key() -> None:
    source = cloud(300)
    preparation = Preparation(count=64, method="random")
    first = prepare(source, preparation, key=("a", 1))
    assert np.array_equal(first, prepare(source, preparation, key=("a", 1)))
    assert not np.array_equal(first, prepare(source, preparation, key=("a", 2)))


@pytest.mark.parametrize("method", ["fps", "random"])
def test_resample_smaller_cloud(method: str) -> None:
    source = cloud(20)
    more = resample(source, 50, method, Draws([("a",)]))
    assert np.array_equal(more[:20], source)
    rows = {tuple(row) for row in source}
    assert all(tuple(row) in rows for row in more[20:])


def test_encoder_inputs_order_of_channels() -> None:
    points = torch.tensor([[[1.0, 2, 3, 0.1, 0.2, 0.3], [4, 5, 6, 0.4, 0.5, 0.6]]])
    assert encoder_inputs(points, ("xyz",)).tolist() == [[[1, 2, 3], [4, 5, 6]]]
    both = encoder_inputs(points, ("rgb", "xyz"))
    assert torch.equal(both, points[..., [3, 4, 5, 0, 1, 2]])


@pytest.mark.parametrize(("axis", "expected"), [("x", [0, 3]), ("y", [0, 4]), ("z", [5, 0])])
def test_encoder_inputs_height(axis: str, expected: list[float]) -> None:
    points = torch.zeros(2, 2, 6)
    points[0, :, :3] = torch.tensor([[1.0, 1, 6], [4, 5, 1]])
    points[1] = 100
    height = encoder_inputs(points, ("xyz", "height"), axis)[..., 3]
    assert height.tolist() == [expected, [0, 0]]


def record(points: np.ndarray) -> Record:
    conversation = Conversation(CAPTION, (Round("What?", "A thing."),))
    return Record("lamp-7", "lamp-7", "lamp-7", lambda: points, (conversation,))


def test_load_valid_cloud_returns_the_same_array() -> None:
    source = cloud(32)
    assert load_valid_cloud(record(source), min_points=32) is source


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c[:31], "record lamp-7: 31 points, but encoder pointnext needs at least 32"),
        (lambda c: np.full_like(c, np.nan), "record lamp-7: NaN or infinity in 40 of 40 points"),
        (lambda c: np.ones_like(c), "record lamp-7: the 40 points of the cloud all lie in one place"),
        (lambda c: c.astype(np.int64), "record lamp-7: dtype int64"),
        (lambda c: c[:, :3], r"record lamp-7: shape \(40, 3\)"),
        (lambda c: c * 300, "record lamp-7: colors"),
    ],
)
def test_load_valid_cloud_error_names_the_record(spoil: Callable[..., np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_valid_cloud(record(spoil(cloud(40))), min_points=32, requested_by="encoder pointnext")


UTM = np.array([502345.5, 5432101.25, 110.0])
"""An offset of geo-referenced scans, in meters."""


@pytest.mark.parametrize("count", [0, 40])
def test_prepare_does_not_depend_on_the_distance_of_float64_coordinates_from_the_origin(count: int) -> None:
    near = cloud(300).astype(np.float64)
    near[:, :3] *= 0.03
    far = near.copy()
    far[:, :3] += UTM
    expected, ready = (prepare(each, Preparation(count=count), key=("a",)) for each in (near, far))
    assert ready.dtype == np.float32
    assert np.abs(ready - expected).max() < 1e-6
    assert np.abs(prepare(near.astype(np.float32), key=("a",)) - prepare(far, key=("a",))).max() < 1e-6


def test_prepare_without_normalization_refuses_float64_coordinates_that_float32_cannot_hold() -> None:
    near = cloud(50).astype(np.float64)
    np.testing.assert_array_equal(prepare(near, Preparation(normalize=False), key=("a",)), near.astype(np.float32))
    near[:, :3] += 1e6 * UTM
    with pytest.raises(DataError, match=r"with --points\.normalize false: float32 is too coarse"):
        prepare(near, Preparation(normalize=False), key=("a",))
