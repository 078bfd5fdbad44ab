"""Point operations against slow, obvious versions, for every backend on this machine."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from spa3d import available, create, ops
from spa3d.contracts.ops import Ops
from spa3d.ops.selection import takes
from spa3d.runtime.rng import Draws


@pytest.fixture(autouse=True, scope="module", params=available("ops"))
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    chosen = create("ops", request.param)
    if not takes(chosen, "cpu"):
        pytest.skip(f"{request.param} takes {', '.join(chosen.devices)} only")
    with ops.use(chosen):
        yield


def cloud(*rows: tuple[float, float, float]) -> Tensor:
    return torch.tensor([rows], dtype=torch.float32)


def line(*places: float) -> Tensor:
    return cloud(*((x, 0, 0) for x in places))


def distances(query: Tensor, xyz: Tensor) -> np.ndarray:
    """Squared distances of one cloud, float32, summed in the order of the coordinates."""
    squares = np.square(query.numpy()[:, None] - xyz.numpy()[None])
    return (squares[..., 0] + squares[..., 1]) + squares[..., 2]


def slow_fps(xyz: Tensor, count: int, start: int) -> list[int]:
    nearest, chosen = np.full(len(xyz), np.inf), [start]
    for _ in range(count - 1):
        nearest = np.minimum(nearest, distances(xyz[chosen[-1], None], xyz)[0])
        chosen.append(int(np.argmax(nearest)))
    return chosen


Points = list[tuple[int, int, int]]
# Coordinates on a coarse grid: most distances are equal to others, and points coincide.
scattered = st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=1, max_size=40)
collinear = st.lists(st.integers(-9, 9).map(lambda x: (x, -x, 2 * x)), min_size=1, max_size=40)
identical = st.tuples(st.tuples(*[st.integers(-2, 2)] * 3), st.integers(1, 40)).map(lambda drawn: [drawn[0]] * drawn[1])
grid = st.one_of(scattered, collinear, identical)


@settings(deadline=None, max_examples=60)
@given(points=grid, count=st.integers(1, 45), data=st.data())
def test_fps_ties_go_to_the_lowest_index(points: Points, count: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(points) - 1))
    xyz = cloud(*points)
    assert ops.farthest_point_sample(xyz, count, start=start)[0].tolist() == slow_fps(xyz[0], count, start)


@settings(deadline=None, max_examples=60)
@given(points=grid, queries=grid, data=st.data())
def test_knn_sorts_by_distance_then_index(points: Points, queries: Points, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(points)))
    xyz, query = cloud(*points), cloud(*queries)
    expected = np.argsort(distances(query[0], xyz[0]), axis=1, kind="stable")[:, :k]
    assert ops.knn(query, xyz, k)[0].tolist() == expected.tolist()


@settings(deadline=None, max_examples=60)
@given(points=grid, queries=grid, squared=st.integers(1, 12), nsample=st.integers(1, 45), closed=st.booleans())
def test_balls_hold_the_first_members_in_index_order(
    points: Points,
    queries: Points,
    squared: int,
    nsample: int,
    closed: bool,
) -> None:
    xyz, query, radius = cloud(*points), cloud(*queries), float(np.sqrt(squared))
    limit = np.square(np.float32(radius))
    actual = ops.ball_query(query, xyz, radius, nsample, closed=closed)[0].tolist()
    for row, apart in zip(actual, distances(query[0], xyz[0]), strict=True):
        members = np.flatnonzero(apart <= limit if closed else apart < limit)[:nsample].tolist()
        assert row == members + (members or [0])[:1] * (nsample - len(members))


def pad(*clouds: Points) -> tuple[Tensor, Tensor]:
    """Clouds of different sizes in one tensor with bad padding values, and their lengths."""
    xyz = torch.full((len(clouds), max(map(len, clouds)) + 1, 3), torch.nan)
    for row, points in zip(xyz, clouds, strict=True):
        row[: len(points)] = torch.tensor(points)
    return xyz, torch.tensor([len(points) for points in clouds])


@settings(deadline=None, max_examples=30)
@given(clouds=st.lists(grid, min_size=1, max_size=4), count=st.integers(1, 45), data=st.data())
def test_ragged_clouds_are_each_searched_alone(clouds: list[Points], count: int, data: st.DataObject) -> None:
    xyz, lengths = pad(*clouds)
    k = data.draw(st.integers(1, int(lengths.min())))
    query = torch.stack([cloud(*points)[0, :1] for points in clouds])
    compat = data.draw(st.sampled_from([None, "pointnet2"]))
    actual = (
        ops.farthest_point_sample(xyz, count, compat=compat, lengths=lengths),
        ops.knn(query, xyz, k, lengths=lengths),
        ops.ball_query(query, xyz, 1.5, 4, closed=True, lengths=lengths),
    )
    for i, points in enumerate(clouds):
        alone, center = cloud(*points), query[i : i + 1]
        assert actual[0][i].tolist() == ops.farthest_point_sample(alone, count, compat=compat)[0].tolist()
        assert actual[1][i].tolist() == ops.knn(center, alone, k)[0].tolist()
        assert actual[2][i].tolist() == ops.ball_query(center, alone, 1.5, 4, closed=True)[0].tolist()


@settings(deadline=None, max_examples=30)
@given(points=grid, wide=st.integers(4, 9), dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float64]))
def test_half_precision_and_views_are_searched_as_they_are(points: Points, wide: int, dtype: torch.dtype) -> None:
    xyz = cloud(*points)
    # Small integers are exact in every type; every second row and the first three columns of something wider.
    view = torch.zeros(1, 2 * xyz.shape[1], wide, dtype=dtype)[:, ::2, :3]
    view.copy_(xyz)
    k = xyz.shape[1]
    assert torch.equal(ops.farthest_point_sample(view, k), ops.farthest_point_sample(xyz, k))
    assert torch.equal(ops.knn(view, view, k), ops.knn(xyz, xyz, k))
    assert torch.equal(ops.ball_query(view, view, 1.0, k, closed=True), ops.ball_query(xyz, xyz, 1.0, k, closed=True))


@settings(deadline=None, max_examples=40)
@given(points=grid, queries=grid)
def test_interpolation_weighs_three_points_by_inverse_squared_distance(points: Points, queries: Points) -> None:
    xyz, query = cloud(*points), cloud(*queries)
    features = torch.arange(2.0 * len(points)).view(1, len(points), 2)
    apart, index = ops.three_nn(query, xyz)
    assert apart.shape == index.shape == (1, len(queries), 3)
    expected = []
    for row in distances(query[0], xyz[0]).astype(np.float64):
        nearest = np.argsort(row, kind="stable")[:3]
        weights = 1 / (row[nearest] + 1e-8)
        expected.append((weights[:, None] * features[0].numpy()[nearest]).sum(axis=0) / weights.sum())
        assert sorted(row)[:3] == apart[0, len(expected) - 1].tolist()[: len(nearest)]
    actual = ops.interpolate(features, query, xyz)[0]
    np.testing.assert_allclose(actual.numpy(), np.array(expected), rtol=1e-5, atol=1e-5)


def test_interpolation_by_hand_and_its_gradient() -> None:
    features = torch.tensor([[[3.0], [6.0], [30.0], [100.0]]]).requires_grad_()
    xyz, query = line(0, 2, -2, 50), line(1, 0).requires_grad_()
    apart, index = ops.three_nn(query, xyz)
    assert (apart[0].tolist(), index[0].tolist()) == ([[1, 1, 9], [0, 4, 4]], [[0, 1, 2], [0, 1, 2]])
    # Weights 1, 1 and 1/9 of the first; the second coincides with a point and takes its value.
    actual = ops.interpolate(features, query, xyz)
    torch.testing.assert_close(actual[0, :, 0], torch.tensor([(3 + 6 + 30 / 9) / (19 / 9), 3.0]))
    actual[0, 0].backward()
    torch.testing.assert_close(features.grad[0, :, 0], torch.tensor([9, 9, 1, 0]) / 19)
    assert query.grad[0, 0, 0] > 0  # towards 2, where the value is larger


def test_three_nn_of_fewer_than_three_points() -> None:
    apart, index = ops.three_nn(line(1), line(4, 0))
    assert (apart.tolist(), index.tolist()) == ([[[1, 9, torch.inf]]], [[[1, 0, 0]]])
    assert ops.interpolate(torch.tensor([[[7.0]]]), line(5), line(1)).tolist() == [[[7]]]


def test_fps_start_per_cloud() -> None:
    xyz = line(*range(11)).repeat(2, 1, 1)
    assert ops.farthest_point_sample(xyz, 3, start=torch.tensor([0, 4])).tolist() == [[0, 10, 5], [4, 10, 0]]
    with pytest.raises(ValueError, match="start must be between 0 and 10"):
        ops.farthest_point_sample(xyz, 3, start=torch.tensor([0, 11]))


@pytest.mark.parametrize("lengths", [[0, 3], [3, 12], [3]])
def test_invalid_lengths_are_refused(lengths: list[int]) -> None:
    xyz = line(*range(11)).repeat(2, 1, 1)
    with pytest.raises(ValueError, match="lengths must be 2 numbers from 1 to 11"):
        ops.farthest_point_sample(xyz, 3, lengths=torch.tensor(lengths))


def search(xyz: Tensor) -> Tensor:
    index = ops.farthest_point_sample(xyz, 8)
    centers = ops.group(xyz, index)
    near = ops.group(xyz, ops.knn(centers, xyz, 4)) - centers[:, :, None]
    ball = ops.group(xyz, ops.ball_query(centers, xyz, 0.7, 4, closed=False))
    return (near + ball).amax(dim=2) + ops.interpolate(xyz, centers, xyz)


def test_a_whole_graph_is_compiled_around_the_operators() -> None:
    xyz = torch.rand(2, 64, 3, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(search, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(xyz), search(xyz))


def test_fps_by_hand() -> None:
    # From 0 the far end, then the middle; 2 and 8 are equally far from the chosen: the lower index first.
    index = ops.farthest_point_sample(line(*range(11)), 5)
    assert index.tolist() == [[0, 10, 5, 2, 7]]
    assert index.dtype == torch.int64
    assert ops.farthest_point_sample(line(*range(11)), 3, start=4).tolist() == [[4, 10, 0]]


def test_fps_repeats_when_the_points_run_out() -> None:
    assert ops.farthest_point_sample(line(0, 1, 1), 5).tolist() == [[0, 1, 0, 0, 0]]


def test_fps_of_what_fps_chose_is_a_range() -> None:
    xyz = torch.randn(2, 300, 3, generator=torch.Generator().manual_seed(0))
    chosen = ops.group(xyz, ops.farthest_point_sample(xyz, 100))
    assert ops.farthest_point_sample(chosen, 50).tolist() == [list(range(50))] * 2


def test_fps_may_start_where_draws_say() -> None:
    xyz = torch.randn(8, 100, 3, generator=torch.Generator().manual_seed(0))
    keys = [(0, i) for i in range(8)]
    starts = Draws(keys).integers(100)
    index = ops.farthest_point_sample(xyz, 5, start=Draws(keys))
    assert torch.equal(index[:, 0], starts)
    for i in range(8):
        assert index[i].tolist() == slow_fps(xyz[i], 5, int(starts[i]))


def test_pointnet2_never_chooses_what_is_near_the_origin() -> None:
    near = 0.0316  # squared 0.00099856, just inside
    xyz = line(5, near, -5, 0, 0.032, 1)
    assert ops.farthest_point_sample(xyz, 6)[0].tolist()[:2] == [0, 2]
    assert ops.farthest_point_sample(xyz, 4, compat="pointnet2").tolist() == [[0, 2, 4, 5]]
    # Then only candidates are repeated, the lowest index first.
    assert ops.farthest_point_sample(xyz, 6, compat="pointnet2").tolist() == [[0, 2, 4, 5, 0, 0]]


def test_pointnet2_starts_at_the_first_point_wherever_it_is() -> None:
    assert ops.farthest_point_sample(line(0, 1, 0.01, 2), 4, compat="pointnet2").tolist() == [[0, 3, 1, 1]]
    assert ops.farthest_point_sample(line(0, 0.01, 0.02), 3, compat="pointnet2").tolist() == [[0, 0, 0]]


def test_a_point_on_the_sphere_is_inside_a_closed_ball_only() -> None:
    xyz = line(0, 1, 2, 0.5)
    assert ops.ball_query(line(0), xyz, 1, 3, closed=True).tolist() == [[[0, 1, 3]]]
    assert ops.ball_query(line(0), xyz, 1, 3, closed=False).tolist() == [[[0, 3, 0]]]


def test_an_empty_ball_is_filled_with_the_first_point() -> None:
    assert ops.ball_query(line(9), line(0, 1), 0.5, 2, closed=True).tolist() == [[[0, 0]]]


def test_the_batch_does_not_matter() -> None:
    xyz = torch.randn(5, 400, 3, generator=torch.Generator().manual_seed(0))
    query = xyz[:, :150].contiguous()
    assert torch.equal(
        ops.farthest_point_sample(xyz, 20), torch.cat([ops.farthest_point_sample(one[None], 20) for one in xyz])
    )
    alone = [ops.knn(q[None], one[None], 9) for q, one in zip(query, xyz, strict=True)]
    assert torch.equal(ops.knn(query, xyz, 9), torch.cat(alone))
    alone = [ops.ball_query(q[None], one[None], 0.4, 9, closed=True) for q, one in zip(query, xyz, strict=True)]
    assert torch.equal(ops.ball_query(query, xyz, 0.4, 9, closed=True), torch.cat(alone))


def test_more_queries_than_one_block_holds() -> None:
    xyz = torch.rand(1, 3000, 3, generator=torch.Generator().manual_seed(0))
    apart = distances(xyz[0], xyz[0])
    assert ops.knn(xyz, xyz, 5)[0].tolist() == np.argsort(apart, axis=1, kind="stable")[:, :5].tolist()
    balls = ops.ball_query(xyz, xyz, 0.1, 4, closed=False)[0]
    first = [np.flatnonzero(row < np.square(np.float32(0.1)))[0] for row in apart]
    assert balls[:, 0].tolist() == first


def test_views_are_taken_as_they_are() -> None:
    points = torch.randn(2, 50, 6, generator=torch.Generator().manual_seed(0))
    kept = points.clone()
    assert torch.equal(
        ops.farthest_point_sample(points[..., :3], 9), ops.farthest_point_sample(points[..., :3].contiguous(), 9)
    )
    assert torch.equal(points, kept)


def test_group_by_hand_and_its_gradient() -> None:
    features = torch.arange(12.0).view(2, 3, 2).requires_grad_()
    index = torch.tensor([[[0, 2], [2, 2]], [[1, 1], [0, 1]]])
    grouped = ops.group(features, index)
    assert grouped.tolist() == [[[[0, 1], [4, 5]], [[4, 5], [4, 5]]], [[[8, 9], [8, 9]], [[6, 7], [8, 9]]]]
    grouped.sum().backward()
    assert features.grad[..., 0].tolist() == [[1, 0, 3], [1, 3, 0]]
    assert ops.group(features, torch.tensor([[2], [0]])).tolist() == [[[4, 5]], [[6, 7]]]


def test_shapes_are_known_without_values() -> None:
    xyz = torch.empty(2, 50, 3, device="meta")
    assert ops.farthest_point_sample(xyz, 7).shape == (2, 7)
    assert ops.farthest_point_sample(xyz, 7, compat="pointnet2").shape == (2, 7)
    assert ops.knn(xyz[:, :4], xyz, 5).shape == (2, 4, 5)
    assert ops.ball_query(xyz[:, :4], xyz, 0.1, 5, closed=True).shape == (2, 4, 5)
    with FakeTensorMode():
        index = ops.knn(torch.empty(2, 4, 3), torch.empty(2, 50, 3), 5)
    assert (index.shape, index.dtype) == ((2, 4, 5), torch.int64)


def test_the_operators_pass_torchs_own_check() -> None:
    xyz = torch.randn(2, 30, 3, generator=torch.Generator().manual_seed(0))
    tests = ("test_schema", "test_faketensor")
    start = torch.zeros(2, dtype=torch.int64)
    torch.library.opcheck(torch.ops.spa3d.farthest_point_sample.default, (xyz, 5, start, None), test_utils=tests)
    torch.library.opcheck(torch.ops.spa3d.knn.default, (xyz, xyz, 5, None), test_utils=tests)
    torch.library.opcheck(torch.ops.spa3d.ball_query.default, (xyz, xyz, 0.5, 5, True, None), test_utils=tests)


class Constant(Ops):
    """Backend with results unlike those of a real one."""

    def __init__(self, value: int) -> None:
        self.value = value

    def fps(self, xyz: Tensor, count: int, start: Tensor) -> Tensor:
        return torch.full((len(xyz), count), self.value)

    knn = ball_query = None  # type: ignore[assignment]


def test_the_innermost_choice_of_a_backend_counts_and_ends_with_its_block() -> None:
    xyz = line(0, 1, 2)
    with ops.use(Constant(7)):
        assert ops.farthest_point_sample(xyz, 1).tolist() == [[7]]
        with ops.use(Constant(8)):
            assert ops.farthest_point_sample(xyz, 1).tolist() == [[8]]
        assert ops.farthest_point_sample(xyz, 1).tolist() == [[7]]
    assert ops.farthest_point_sample(xyz, 1).tolist() == [[0]]


def test_a_backend_is_passed_over_on_a_device_it_does_not_take() -> None:
    elsewhere = Constant(7)
    elsewhere.devices = ("cuda",)
    with ops.use(elsewhere, Constant(8)):
        assert ops.farthest_point_sample(line(0, 1, 2), 1).tolist() == [[8]]
    with ops.use(elsewhere):
        assert ops.farthest_point_sample(line(0, 1, 2), 1).tolist() == [[0]]


def test_thread_without_use_takes_the_default_backend() -> None:
    with ops.use(Constant(7)), ThreadPoolExecutor(1) as pool:
        assert pool.submit(ops.farthest_point_sample, line(0, 1, 2), 1).result().tolist() == [[0]]


GOOD = torch.zeros(1, 4, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.knn(GOOD, GOOD, 5), "k must be between 1 and the number of points, 4; it is 5"),
        (lambda: ops.knn(GOOD, GOOD, 0), "it is 0"),
        (lambda: ops.knn(GOOD.expand(2, -1, -1), GOOD, 1), "they hold 2 and 1"),
        (lambda: ops.knn(GOOD.long(), GOOD, 1), r"query must be floating point coordinates; it is torch.int64"),
        (lambda: ops.knn(GOOD, GOOD * torch.nan, 1), "coordinates must be finite"),
        (lambda: ops.ball_query(GOOD, GOOD / 0, 1, 1, closed=True), "coordinates must be finite"),
        (lambda: ops.ball_query(GOOD, GOOD, 0, 1, closed=True), "must be positive; they are 0 and 1"),
        (lambda: ops.ball_query(GOOD, GOOD, 1, 0, closed=True), "must be positive; they are 1 and 0"),
        (lambda: ops.farthest_point_sample(GOOD[0], 1), r"must be \(clouds, points, 3\).*it is \(4, 3\)"),
        (lambda: ops.farthest_point_sample(torch.zeros(1, 4, 6), 1), r"it is \(1, 4, 6\)"),
        (lambda: ops.farthest_point_sample(GOOD[:, :0], 1), "not empty"),
        (lambda: ops.farthest_point_sample(GOOD, 0), "count must be at least 1, not 0"),
        (lambda: ops.farthest_point_sample(GOOD, 1, start=4), "start must be between 0 and 3; it is 4"),
        (lambda: ops.farthest_point_sample(GOOD * torch.inf, 1), "coordinates must be finite"),
    ],
)
def test_invalid_input_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
