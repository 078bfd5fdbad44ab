"""1x1 convolutions with batch normalization, the layer type of all encoders here.

Published weights have the shapes of 1- and 2-dimensional convolutions over channel-first tensors. Here they are applied
to channel-last tensors as matrix products. In eval mode a normalization is folded into the preceding product.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

PIECE = 1 << 17
"""Values per piece of a layer's result: 512 KiB of float32, which stay in a CPU core's cache for the next layer."""
LEAST = 512
"""Least positions per piece; with fewer, loading the weights dominates a product."""


class Pointwise(nn.Module):
    """1x1 convolution on channel-last input, with the weight shape of `dims` dimensions."""

    def __init__(self, inside: int, outside: int, *, dims: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outside, inside, *[1] * dims))
        self.bias = nn.Parameter(torch.zeros(outside)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # torch's own choice for convolutions

    def forward(self, x: Float[Tensor, "*places inside"]) -> Float[Tensor, "*places outside"]:
        """Apply the layer to each position independently."""
        return F.linear(x, self.weight.flatten(1), self.bias)


def apply_normalized(
    x: Float[Tensor, "*places inside"], layer: Pointwise | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d
) -> Float[Tensor, "*places outside"]:
    """Compute ``norm(layer(x))``; in training the statistics are over all positions.

    In eval mode it is a single product (see `fold_norm`), without another pass over the result.
    """
    if norm.training:
        return batch_normalize(layer(x), norm)
    weight, bias = fold_norm(layer, norm)
    return F.linear(x, weight, bias)


def batch_normalize(
    x: Float[Tensor, "*places outside"], norm: nn.BatchNorm1d | nn.BatchNorm2d
) -> Float[Tensor, "*places outside"]:
    """Apply batch normalization over all positions of a channel-last tensor.

    In training the running statistics are updated.
    """
    flat = x.flatten(0, -2)
    flat = flat[..., None, None] if isinstance(norm, nn.BatchNorm2d) else flat
    return norm(flat).reshape(x.shape)


def fold_norm(
    layer: Pointwise | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d
) -> tuple[Float[Tensor, "outside inside"], Float[Tensor, " outside"]]:
    """Weight and bias of `layer` followed by `norm` in eval mode, differentiable in both."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a normalization without running statistics cannot be folded")
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    offset = -norm.running_mean if layer.bias is None else layer.bias - norm.running_mean
    return layer.weight.flatten(1) * scale[:, None], norm.bias + offset * scale


def make_function(layer: Pointwise | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> Callable[[Tensor], Tensor]:
    """Return `apply_normalized` as a function of x, folded once for many pieces."""
    if norm.training:
        return lambda x: batch_normalize(layer(x), norm)
    weight, bias = fold_norm(layer, norm)
    return lambda x: F.linear(x, weight).add_(bias)  # linear with a bias first copies the bias to every position


def apply_in_pieces(part: Callable[..., Tensor], *tensors: Tensor, places: int, width: int, whole: bool) -> Tensor:
    """Compute ``part(*tensors)`` a few rows at a time; `part` treats rows independently.

    On a CPU the layers of a group spend more time on memory than on arithmetic unless their results stay in the cache.

    Args:
        part: maps rows of the tensors to the same number of rows.
        tensors: tensors with the same number of rows.
        places: positions per group; `part` keeps all of them in memory for each of its rows.
        width: width of the widest result of `part` per position.
        whole: whether the rows depend on each other, as with a normalization that takes statistics over them.

    """
    rows = max(1, max(PIECE // width, LEAST) // places)
    if whole or rows >= len(tensors[0]) or tensors[0].device.type != "cpu" or torch.compiler.is_compiling():
        return part(*tensors)
    return torch.cat([part(*some) for some in zip(*(tensor.split(rows) for tensor in tensors), strict=True)])
