"""Tests for every encoder: published parameters, inputs, and the tiny presets."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from spa3d import create
from spa3d.contracts.encoder import Encoder

COMPONENTS = ("pointbert", "pointmlp", "pointnet2", "pointnext")
TINY = [(f"{name}-tiny", {}) for name in COMPONENTS] + [
    (f"{name}-tiny", {"tokens": "stage"}) for name in ("pointnet2", "pointnext")
]


def sphere(clouds: int, number: int) -> Tensor:
    """Points on the unit sphere with some color, the second cloud three times as large."""
    points = torch.randn(clouds, number, 6, generator=torch.Generator().manual_seed(0))
    points[..., :3] = torch.nn.functional.normalize(points[..., :3], dim=-1)
    points[1:2, :, :3] *= 3
    return points


def make_encoder(name: str, **values: Any) -> Encoder:
    torch.manual_seed(0)
    return create("encoder", name, **values).eval()


@pytest.mark.parametrize(
    ("golden", "preset", "number"),
    [
        ("pointbert-pointllm", "pointbert", 21_859_200),
        ("pointbert-pointllm", "pointbert-pointllm", 21_859_200),
        ("pointbert-pointllm-v11", "pointbert-pointllm-v11", 192_546_432),
        ("pointbert-ulip", "pointbert-ulip", 21_858_816),
        ("pointbert-ulip2", "pointbert-ulip2", 32_499_072),
        ("pointmlp-ulip", "pointmlp", 13_228_224),
        ("pointmlp-ulip", "pointmlp-ulip", 13_228_224),
        ("pointnet2-ulip", "pointnet2", 1_465_408),
        ("pointnet2-ulip", "pointnet2-ulip", 1_465_408),
        ("pointnext-ulip", "pointnext", 1_363_264),
        ("pointnext-ulip", "pointnext-ulip", 1_363_264),
    ],
    indirect=["golden"],
)
def test_defaults_and_presets_have_the_published_parameters(golden: Any, preset: str, number: int) -> None:
    with torch.device("meta"):
        encoder = create("encoder", preset)
    state = encoder.state_dict()
    result = [(name, list(value.shape), str(value.dtype).removeprefix("torch.")) for name, value in state.items()]
    assert result == golden.parameters
    assert sum(value.numel() for value in encoder.parameters()) == number


@pytest.mark.parametrize("name", COMPONENTS)
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (("rgb", "xyz"), "inputs must begin with xyz"),
        (("xyz", "rgb", "rgb"), "name each channel once"),
        (("xyz", "normal"), "inputs"),
        ((), "inputs must begin with xyz"),
    ],
)
def test_inputs_begin_with_xyz_and_name_each_channel_once(name: str, inputs: tuple[str, ...], message: str) -> None:
    with pytest.raises(Exception, match=message):
        create("encoder", name, inputs=inputs)


@pytest.mark.parametrize("component", COMPONENTS)
def test_tiny_presets_have_comparable_sizes(component: str) -> None:
    encoder = make_encoder(f"{component}-tiny")
    assert encoder.inputs == ("xyz", "rgb")
    assert encoder.min_points <= 128
    assert (encoder.num_tokens(1024), encoder.dim) == (32, 128)
    for number in (1024, 128):
        assert encoder(sphere(1, number)).shape == (1, encoder.num_tokens(number), 128)


@pytest.mark.parametrize(("name", "values"), TINY)
def test_the_batch_does_not_matter_in_eval_mode(name: str, values: dict[str, Any]) -> None:
    encoder, points = make_encoder(name, **values), sphere(3, 200)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    with torch.no_grad():
        together = encoder(points)
        alone = torch.cat([encoder(cloud[None]) for cloud in points])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


@pytest.mark.parametrize(("name", "values"), TINY)
def test_every_parameter_learns(name: str, values: dict[str, Any]) -> None:
    encoder = make_encoder(name, **values).train()
    points = sphere(4, 128).requires_grad_()
    # Different factors per channel: the squares after a normalization sum to a constant.
    encoder.pool(points).square()[:, ::3].sum().backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    assert (points.grad.abs().sum(dim=(0, 1)) > 0).all()
