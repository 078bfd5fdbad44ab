"""What the point operations mean, held against slow and obvious versions, for every backend that is here."""

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
from spa3d.draws import Draws


@pytest.fixture(autouse=True, scope="module", params=available("ops"))
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with ops.use(create("ops", request.param)):
        yield


def cloud(*rows: tuple[float, float, float]) -> Tensor:
    return torch.tensor([rows], dtype=torch.float32)


def line(*places: float) -> Tensor:
    return cloud(*((place, 0, 0) for place in places))


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


# Coordinates on a coarse grid: most distances are equal to others, and points coincide.
grid = st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=1, max_size=40)


@settings(deadline=None, max_examples=60)
@given(points=grid, count=st.integers(1, 45), data=st.data())
def test_fps_ties_go_to_the_lowest_index(points: list[tuple[int, int, int]], count: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(points) - 1))
    xyz = cloud(*points)
    assert ops.farthest_point_sample(xyz, count, start=start)[0].tolist() == slow_fps(xyz[0], count, start)


@settings(deadline=None, max_examples=60)
@given(points=grid, queries=grid, data=st.data())
def test_knn_sorts_by_distance_then_index(
    points: list[tuple[int, int, int]], queries: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(points)))
    xyz, query = cloud(*points), cloud(*queries)
    expected = np.argsort(distances(query[0], xyz[0]), axis=1, kind="stable")[:, :k]
    assert ops.knn(query, xyz, k)[0].tolist() == expected.tolist()


@settings(deadline=None, max_examples=60)
@given(points=grid, queries=grid, squared=st.integers(1, 12), nsample=st.integers(1, 45), closed=st.booleans())
def test_balls_hold_the_first_members_in_index_order(
    points: list[tuple[int, int, int]],
    queries: list[tuple[int, int, int]],
    squared: int,
    nsample: int,
    closed: bool,
) -> None:
    xyz, query, radius = cloud(*points), cloud(*queries), float(np.sqrt(squared))
    limit = np.square(np.float32(radius))
    found = ops.ball_query(query, xyz, radius, nsample, closed=closed)[0].tolist()
    for row, apart in zip(found, distances(query[0], xyz[0]), strict=True):
        members = np.flatnonzero(apart <= limit if closed else apart < limit)[:nsample].tolist()
        assert row == members + (members or [0])[:1] * (nsample - len(members))


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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_float_types_are_searched_in_float32(dtype: torch.dtype) -> None:
    xyz = torch.randn(1, 200, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.equal(ops.farthest_point_sample(xyz, 20), ops.farthest_point_sample(xyz.float(), 20))
    assert torch.equal(ops.knn(xyz, xyz, 3), ops.knn(xyz.float(), xyz.float(), 3))


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
    torch.library.opcheck(torch.ops.spa3d.farthest_point_sample.default, (xyz, 5, start), test_utils=tests)
    torch.library.opcheck(torch.ops.spa3d.knn.default, (xyz, xyz, 5), test_utils=tests)
    torch.library.opcheck(torch.ops.spa3d.ball_query.default, (xyz, xyz, 0.5, 5, True), test_utils=tests)


class Constant(Ops):
    """A backend that is easily told from a real one."""

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


def test_a_thread_without_a_choice_asks_the_reference() -> None:
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
def test_bad_input_is_told(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
