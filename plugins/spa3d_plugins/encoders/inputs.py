"""Checks of an encoder's inputs: the channels in its Config, and the clouds passed to it."""

from __future__ import annotations

from typing import Annotated

from jaxtyping import Float
from pydantic import AfterValidator, Field
from torch import Tensor

from spa3d.contracts.encoder import Channel, Encoder


def _check_order(inputs: tuple[Channel, ...]) -> tuple[Channel, ...]:
    if inputs[:1] != ("xyz",) or len(set(inputs)) < len(inputs):
        raise ValueError(f"inputs must begin with xyz and name each channel once, got {list(inputs)}")
    return inputs


Positive = Annotated[int, Field(ge=1, le=65536)]
Inputs = Annotated[tuple[Channel, ...], AfterValidator(_check_order)]
"""Channels per point; the first three values are the coordinates."""


def validate_points(encoder: Encoder, points: Tensor) -> Float[Tensor, "B N C"]:
    """Check the shape and type of `points` and convert them to float32 ``(B, N, C)``.

    Without this check additional channels would be ignored silently, and other errors would show up only in a matrix
    product.

    Args:
        encoder: the encoder to run; its `inputs` and `min_points` set the expected shape.
        points: the clouds, of any floating point type. Their values are not checked.

    Raises:
        ValueError: wrong shape, integer values, or too few points.

    """
    name = type(encoder).__name__
    if points.dim() != 3 or points.shape[2] != encoder.channels or 0 in points.shape:
        expected = f"(clouds, points, {encoder.channels}) of {' and '.join(encoder.inputs)}"
        raise ValueError(f"{name} takes {expected}; it was given {tuple(points.shape)}")
    if not points.is_floating_point():
        raise ValueError(f"{name} takes floating point numbers; it was given {points.dtype}")
    if points.shape[1] < encoder.min_points:
        raise ValueError(f"{name} needs at least {encoder.min_points} points per cloud; it was given {points.shape[1]}")
    return points.float()
