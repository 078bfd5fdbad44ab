"""Noise on a GPU: the same random numbers and the same points as on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from spa3d import available, create
from spa3d.runtime.rng import Draws

pytestmark = pytest.mark.gpu

KEYS = [(0, 1, f"record-{number}", "noised") for number in range(3)]
DRAWN: dict[str, Callable[[Draws], Tensor]] = {
    "uniform": lambda draws: draws.uniform(100, 3),
    "normal": lambda draws: draws.normal(100, 3),
    "integers": lambda draws: draws.integers(1000, 50),
    "permutation": lambda draws: draws.permutation(500),
}
MOVING = ("gaussian", "rotate")
"""Noise that computes coordinates, of which a GPU may round the last bit elsewhere; the rest only selects."""


def clouds() -> Tensor:
    points = Draws(KEYS).uniform(2048, 6)
    points[..., :3] = torch.nn.functional.normalize(points[..., :3] - 0.5, dim=-1)
    return points


@pytest.mark.parametrize("name", DRAWN)
def test_the_numbers_are_the_same_to_the_bit(name: str, accelerator: torch.device) -> None:
    result = DRAWN[name](Draws(KEYS, accelerator))
    assert result.device.type == accelerator.type
    assert torch.equal(result.cpu(), DRAWN[name](Draws(KEYS)))


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", available("noise"))
def test_a_noise_does_to_a_cloud_what_it_does_on_the_cpu(name: str, level: float, accelerator: torch.device) -> None:
    noise = create("noise", name, level=level)
    expected = noise.apply(clouds(), Draws(KEYS))
    there = clouds().to(accelerator)
    result = noise.apply(there, Draws(KEYS, accelerator))
    assert result.device.type == accelerator.type
    torch.testing.assert_close(result.cpu(), expected, atol=1e-6 if name in MOVING else 0, rtol=0)
    realized = noise.measure_level(there, result)
    torch.testing.assert_close(realized.cpu(), noise.measure_level(clouds(), expected), atol=1e-5, rtol=0)
