"""Point operations on a GPU against the reference on the CPU, for every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch
from torch import Tensor

from spa3d import available, create, ops
from spa3d.contracts.ops import Ops
from spa3d.ops.selection import takes

pytestmark = pytest.mark.gpu


def random_points() -> Tensor:
    """Random points."""
    return torch.randn(3, 1500, 3, generator=torch.Generator().manual_seed(0))


def grid() -> Tensor:
    """Points of a grid, in a random order: nearly every distance occurs many times."""
    axis = torch.arange(10).float()
    points = torch.cartesian_prod(axis, axis, axis)
    stream = torch.Generator().manual_seed(1)
    return torch.stack([points[torch.randperm(1000, generator=stream)] for _ in range(3)])


def duplicates() -> Tensor:
    """Each point four times."""
    return torch.randn(3, 200, 3, generator=torch.Generator().manual_seed(2)).repeat(1, 4, 1)


def equal_points() -> Tensor:
    """One point only, many times."""
    return torch.full((2, 70, 3), 0.25)


def distant_points() -> Tensor:
    """Large coordinates, where float32 has few digits left."""
    return random_points() + 1000


CLOUDS: dict[str, Callable[[], Tensor]] = {
    make.__name__: make for make in (random_points, grid, duplicates, equal_points, distant_points)
}
OPERATIONS: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "fps": lambda xyz, lengths: ops.farthest_point_sample(xyz, 40, lengths=lengths),
    "fps until nothing is left": lambda xyz, lengths: ops.farthest_point_sample(xyz[:, :64], 64),
    "fps of pointnet2": lambda xyz, lengths: ops.farthest_point_sample(xyz, 40, compat="pointnet2", lengths=lengths),
    "fps from the last point": lambda xyz, lengths: ops.farthest_point_sample(
        xyz, 40, start=torch.full((len(xyz),), 30, device=xyz.device), lengths=lengths
    ),
    "knn": lambda xyz, lengths: ops.knn(xyz[:, :50], xyz, 17, lengths=lengths),
    "knn of one": lambda xyz, lengths: ops.knn(xyz[:, 3:60], xyz, 1, lengths=lengths),
    "ball query, open": lambda xyz, lengths: ops.ball_query(xyz[:, :50], xyz, 1.0, 20, closed=False, lengths=lengths),
    "ball query, closed": lambda xyz, lengths: ops.ball_query(xyz[:, :50], xyz, 1.0, 20, closed=True, lengths=lengths),
    "ball query of empty balls": lambda xyz, lengths: ops.ball_query(
        xyz[:, :50] + 50, xyz, 0.1, 5, closed=True, lengths=lengths
    ),
    "three nn": lambda xyz, lengths: ops.three_nn(xyz[:, :50] + 0.125, xyz)[1],
}


@cache
def make_ops(name: str) -> Ops:
    return create("ops", name)


@pytest.fixture(params=available("ops"))
def backend(request: pytest.FixtureRequest, accelerator: torch.device) -> Iterator[str]:
    chosen = make_ops(request.param)
    if not takes(chosen, accelerator.type):
        pytest.skip(f"{request.param} does not work on {accelerator.type}")
    with ops.use(chosen, make_ops("torch")):
        yield request.param


@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_backend_gives_the_indices_of_the_reference(
    operation: str, cloud: str, ragged: bool, backend: str, accelerator: torch.device
) -> None:
    xyz = CLOUDS[cloud]().to(accelerator)
    actual = OPERATIONS[operation](xyz, lengths_of(xyz) if ragged else None)
    assert actual.device.type == accelerator.type
    assert actual.dtype == torch.int64
    assert torch.equal(actual.cpu(), reference(operation, cloud, ragged))


@cache
def reference(operation: str, cloud: str, ragged: bool) -> Tensor:
    xyz = CLOUDS[cloud]()
    with ops.use(make_ops("torch")):
        return OPERATIONS[operation](xyz, lengths_of(xyz) if ragged else None)


def lengths_of(xyz: Tensor) -> Tensor:
    """Lengths of the clouds, on the device of `xyz`: all points, just enough, about half."""
    return torch.tensor([xyz.shape[1], 65, xyz.shape[1] // 2 + 30][: len(xyz)], device=xyz.device)


def test_padding_is_never_looked_at(backend: str, accelerator: torch.device) -> None:
    xyz, lengths = random_points().to(accelerator), torch.tensor([1500, 65, 400], device=accelerator)
    padded = xyz.clone()
    for cloud, length in zip(padded, lengths.tolist(), strict=True):
        cloud[length:] = torch.nan
    for name in ("fps", "knn", "ball query, closed"):
        assert torch.equal(OPERATIONS[name](padded, lengths), OPERATIONS[name](xyz, lengths)), name


def test_interpolation_and_its_gradient_are_those_of_the_cpu(backend: str, accelerator: torch.device) -> None:
    actual = []
    for device in (torch.device("cpu"), accelerator):
        with ops.use(make_ops("torch")) if device.type == "cpu" else ops.use():
            xyz = random_points().to(device).requires_grad_()
            features = xyz.detach().square().requires_grad_()
            query = xyz.detach()[:, :40] + 0.1
            result = ops.interpolate(features, query, xyz)
            result.sum().backward()
            actual.append([value.detach().cpu() for value in (result, features.grad, xyz.grad)])
    for cpu, gpu in zip(*actual, strict=True):
        torch.testing.assert_close(gpu, cpu, atol=1e-4, rtol=1e-4)


def test_an_index_of_no_point_is_an_error_and_no_crash(backend: str, accelerator: torch.device) -> None:
    xyz = random_points().to(accelerator)
    with pytest.raises(ValueError, match="start must be between 0 and 1499"):
        ops.farthest_point_sample(xyz, 4, start=torch.full((3,), 1500, device=accelerator))
    with pytest.raises(ValueError, match="finite"):
        ops.knn(xyz, torch.full_like(xyz, torch.nan), 2)
    assert ops.farthest_point_sample(xyz, 2).shape == (3, 2)  # the device still works
