"""Set abstraction of the PointNet++ family: layers on balls (arXiv 1706.02413)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from spa3d_plugins.encoders.pointwise import Pointwise, apply_in_pieces, batch_normalize, fold_norm, make_function

Layer = tuple[Pointwise, nn.BatchNorm1d]


def abstract_sets(
    cloud: tuple[Float[Tensor, "B N 3"], Float[Tensor, "B N C"]],
    centers: Float[Tensor, "B M 3"],
    ball: Int[Tensor, "B M k"],
    layers: Sequence[Layer],
    *,
    radius: float = 1.0,
) -> Float[Tensor, "B M D"]:
    """Apply layers to [(neighbor − center) / radius, feature], then take the maximum per ball.

    ReLU is applied between layers but not after the last one: it commutes with the maximum, so the caller can apply it.

    Args:
        cloud: coordinates and features of the points; the features may have width 0.
        centers: coordinates of the centers.
        ball: indices of the points in each center's ball.
        layers: convolutions with their normalization; the first takes 3 + C channels.
        radius: unit of the relative coordinates.

    """
    xyz, features = cloud
    first, *others = layers
    enter, steps = _prepare_first(first, features, radius), [make_function(*layer) for layer in others]
    places = xyz.flatten(0, 1)

    def part(index: Tensor, middle: Tensor) -> Tensor:
        offsets = places.index_select(0, index.flatten()).view(*index.shape, 3).sub_(middle[:, None])
        hidden = enter(offsets.to(first[0].weight.dtype), index)
        for step in steps:
            hidden = step(F.relu(hidden, inplace=True))
        return hidden.amax(dim=1)

    offset = torch.arange(len(xyz), device=ball.device).mul_(xyz.shape[1])
    widest = max(layer.weight.shape[0] for layer, _ in layers)
    pooled = apply_in_pieces(
        part,
        (ball + offset[:, None, None]).flatten(0, 1),
        centers.flatten(0, 1),
        places=ball.shape[2],
        width=widest,
        whole=any(norm.training for _, norm in layers),
    )
    return pooled.view(*centers.shape[:2], -1)


def _prepare_first(first: Layer, features: Tensor, radius: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the first layer: offsets ``(G, k, 3)``, flat indices ``(G, k)`` → ``(G, k, D)``.

    Convolution and gathering commute: the wide part of the product is computed once per point instead of once per
    point and ball.
    """
    layer, norm = first
    weight, bias = (layer.weight.flatten(1), layer.bias) if norm.training else fold_norm(layer, norm)
    near, far = weight.tensor_split([3], dim=1)
    near = near / radius
    if far.shape[1]:
        table = F.linear(features, far, bias).flatten(0, 1)

    def enter(offsets: Tensor, index: Tensor) -> Tensor:
        if far.shape[1]:
            hidden = table.index_select(0, index.flatten()).view(*index.shape, -1) + F.linear(offsets, near)
        else:
            hidden = F.linear(offsets, near, bias)
        return batch_normalize(hidden, norm) if norm.training else hidden

    return enter
