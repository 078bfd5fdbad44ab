"""What every encoder here asks of its inputs: of their list in its Config, and of the clouds it is given."""

from __future__ import annotations

from typing import Annotated

from jaxtyping import Float
from pydantic import AfterValidator, Field
from torch import Tensor

from spa3d.contracts.encoder import Channel, Encoder


def _xyz_first(inputs: tuple[Channel, ...]) -> tuple[Channel, ...]:
    if inputs[:1] != ("xyz",) or len(set(inputs)) < len(inputs):
        raise ValueError(f"inputs must begin with xyz and name each channel once; they are {list(inputs)}")
    return inputs


Positive = Annotated[int, Field(ge=1)]
Inputs = Annotated[tuple[Channel, ...], AfterValidator(_xyz_first)]
"""Channels per point; positions are taken from the first three."""


def accepted(encoder: Encoder, points: Tensor) -> Float[Tensor, "B N C"]:
    """`points` as float32 ``(B, N, C)``.

    Checked here because too many channels would otherwise be dropped without a word, and anything else would end in
    the message of a matrix product.

    Args:
        encoder: who is given the clouds; its `inputs` and `min_points` decide.
        points: the clouds, of any floating point type. Their values are not looked at.

    Raises:
        ValueError: the shape is another one, the numbers are whole, or there are too few points.

    """
    name = type(encoder).__name__
    if points.dim() != 3 or points.shape[2] != encoder.channels or 0 in points.shape:
        wanted = f"(clouds, points, {encoder.channels}) of {' and '.join(encoder.inputs)}"
        raise ValueError(f"{name} takes {wanted}; it was given {tuple(points.shape)}")
    if not points.is_floating_point():
        raise ValueError(f"{name} takes floating point numbers; it was given {points.dtype}")
    if points.shape[1] < encoder.min_points:
        raise ValueError(f"{name} needs at least {encoder.min_points} points per cloud; it was given {points.shape[1]}")
    return points.float()
