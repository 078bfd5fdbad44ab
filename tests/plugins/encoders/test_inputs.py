"""Checks of input clouds, for every encoder."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from spa3d import Encoder, create

PRESETS = ["pointbert-tiny", "pointmlp-tiny", "pointnet2-tiny", "pointnext-tiny"]
BARE = ["pointmlp", "pointnet2"]
"""Encoders that take coordinates only."""


def cloud(encoder: Encoder, number: int = 200) -> Tensor:
    points = torch.randn(2, number, encoder.channels, generator=torch.Generator().manual_seed(0))
    return points / points[..., :3].norm(dim=-1).amax()


@pytest.fixture(params=PRESETS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    torch.manual_seed(0)
    built = create("encoder", request.param).eval()
    assert isinstance(built, Encoder)
    return built


@pytest.fixture(params=["forward", "pool"])
def encode(request: pytest.FixtureRequest, encoder: Encoder) -> Callable[[Tensor], Tensor]:
    method: Callable[[Tensor], Tensor] = getattr(encoder, request.param)
    return method


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (lambda points: points[0], r"takes \(clouds, points, 6\) of xyz and rgb; it was given \(200, 6\)$"),
        (lambda points: points[..., :5], r"it was given \(2, 200, 5\)$"),
        (lambda points: torch.cat([points, points[..., :1]], dim=-1), r"it was given \(2, 200, 7\)$"),
        (lambda points: points[:0], r"it was given \(0, 200, 6\)$"),
        (lambda points: (255 * points).long(), "takes floating point numbers; it was given torch.int64$"),
    ],
)
def test_invalid_clouds_raise_an_error_with_the_encoder_name(
    encoder: Encoder,
    encode: Callable[[Tensor], Tensor],
    spoiled: Callable[[Tensor], Tensor],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=f"^{type(encoder).__name__} .*{message}"):
        encode(spoiled(cloud(encoder)))


def test_min_points_is_the_smallest_valid_cloud(encoder: Encoder, encode: Callable[[Tensor], Tensor]) -> None:
    points = cloud(encoder, encoder.min_points)
    with torch.no_grad():
        assert encode(points).isfinite().all()
    few = encoder.min_points - 1
    with pytest.raises(ValueError, match=f"needs at least {encoder.min_points} points per cloud; it was given {few}$"):
        encode(points[:, 1:])


@pytest.mark.parametrize("preset", BARE)
def test_additional_color_channels_raise_an_error(preset: str) -> None:
    with torch.device("meta"):
        encoder = create("encoder", preset)
    with pytest.raises(ValueError, match=r"\(clouds, points, 3\) of xyz; it was given \(1, 600, 6\)$"):
        encoder(torch.empty(1, 600, 6, device="meta"))


def test_clouds_of_other_types_are_converted_to_float32(encoder: Encoder, encode: Callable[[Tensor], Tensor]) -> None:
    points = cloud(encoder)
    with torch.no_grad():
        for dtype in (torch.float64, torch.float16, torch.bfloat16):
            assert torch.equal(encode(points.to(dtype)), encode(points.to(dtype).float()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_module_of_another_type_accepts_the_same_clouds(
    encoder: Encoder, encode: Callable[[Tensor], Tensor], dtype: torch.dtype
) -> None:
    points = cloud(encoder)
    with torch.no_grad():
        exact = encode(points)
        result = encoder.to(dtype) and encode(points)
    assert result.dtype == dtype
    error = (result.double() - exact.double()).norm() / exact.double().norm()
    assert error < (0.05 if dtype == torch.bfloat16 else 1e-4)
