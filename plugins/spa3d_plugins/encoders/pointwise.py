"""The layer that all encoders of point clouds are made of: a 1x1 convolution, mostly followed by batch normalization.

Published weights have the shapes of 1- and 2-dimensional convolutions over channel-first tensors. Here they are applied
to channel-last tensors as matrix products, and in eval mode a normalization is folded into the product before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

PIECE = 1 << 17
"""Numbers per piece of a layer's result: 512 KiB of float32, still in a CPU core's own cache when the next layer reads
them."""
LEAST = 512
"""Places per piece, at least: with fewer the product waits for its weights."""


class Pointwise(nn.Module):
    """A 1x1 convolution on channel-last input, with the weight shape of a `dims`-dimensional one."""

    def __init__(self, inside: int, outside: int, *, dims: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outside, inside, *[1] * dims))
        self.bias = nn.Parameter(torch.zeros(outside)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # torch's own choice for convolutions

    def forward(self, x: Float[Tensor, "*places inside"]) -> Float[Tensor, "*places outside"]:
        """Every place by itself."""
        return F.linear(x, self.weight.flatten(1), self.bias)


def normalized(
    x: Float[Tensor, "*places inside"], layer: Pointwise | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d
) -> Float[Tensor, "*places outside"]:
    """``norm(layer(x))``, the statistics of a training step being those over all places.

    In eval mode it is one product, see `folded`: the result is not read and written once more.
    """
    if norm.training:
        return batch_normalized(layer(x), norm)
    weight, bias = folded(layer, norm)
    return F.linear(x, weight, bias)


def batch_normalized(
    x: Float[Tensor, "*places outside"], norm: nn.BatchNorm1d | nn.BatchNorm2d
) -> Float[Tensor, "*places outside"]:
    """Batch normalization over all places of a channel-last tensor, with the running statistics kept up to date."""
    flat = x.flatten(0, -2)
    flat = flat[..., None, None] if isinstance(norm, nn.BatchNorm2d) else flat
    return norm(flat).reshape(x.shape)


def folded(
    layer: Pointwise | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d
) -> tuple[Float[Tensor, "outside inside"], Float[Tensor, " outside"]]:
    """Weight and bias of `layer` followed by `norm` in eval mode; differentiable in the parameters of both."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a normalization without running statistics cannot be folded")
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    offset = -norm.running_mean if layer.bias is None else layer.bias - norm.running_mean
    return layer.weight.flatten(1) * scale[:, None], norm.bias + offset * scale


def prepared(layer: Pointwise | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> Callable[[Tensor], Tensor]:
    """`normalized` with the folding done beforehand, for a tensor that comes in pieces."""
    if norm.training:
        return lambda x: batch_normalized(layer(x), norm)
    weight, bias = folded(layer, norm)
    return lambda x: F.linear(x, weight).add_(bias)  # a bias given to linear is first copied to every place


def in_pieces(part: Callable[..., Tensor], *tensors: Tensor, places: int, width: int, whole: bool) -> Tensor:
    """``part(*tensors)`` of a function that treats each row by itself, a few rows at a time.

    On a CPU the layers of a group cost more time in memory than in arithmetic unless their results stay in the cache.

    Args:
        part: maps some rows of the tensors to as many rows.
        tensors: all with the same number of rows.
        places: places of a group, which `part` holds at once for each of its rows.
        width: of the widest result that `part` holds for each place.
        whole: whether the rows depend on each other, as they do where a normalization takes its statistics from them.

    """
    rows = max(1, max(PIECE // width, LEAST) // places)
    if whole or rows >= len(tensors[0]) or tensors[0].device.type != "cpu" or torch.compiler.is_compiling():
        return part(*tensors)
    return torch.cat([part(*some) for some in zip(*(tensor.split(rows) for tensor in tensors), strict=True)])
