"""Set abstraction of the PointNet++ family: centers look at the points of their ball (arXiv 1706.02413)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from spa3d_plugins.encoders.pointwise import Pointwise, batch_normalized, folded, in_pieces, prepared

Layer = tuple[Pointwise, nn.BatchNorm1d]


def abstracted(
    cloud: tuple[Float[Tensor, "B N 3"], Float[Tensor, "B N C"]],
    centers: Float[Tensor, "B M 3"],
    ball: Int[Tensor, "B M k"],
    layers: Sequence[Layer],
    *,
    radius: float = 1.0,
) -> Float[Tensor, "B M D"]:
    """Layers on [(neighbor − center) / radius, feature] with ReLU between them, then the maximum over the ball.

    There is no ReLU after the last layer; whether it comes before or after the maximum does not matter.

    Args:
        cloud: coordinates and features (of width 0 where there are none) of the points.
        centers: coordinates of the centers.
        ball: indices of the points that each center looks at.
        layers: convolutions with their normalization; the first one takes 3 + C channels.
        radius: unit of the relative coordinates.

    """
    xyz, features = cloud
    first, *others = layers
    enter, steps = _entry(first, features, radius), [prepared(*layer) for layer in others]
    places = xyz.flatten(0, 1)

    def part(index: Tensor, middle: Tensor) -> Tensor:
        offsets = places.index_select(0, index.flatten()).view(*index.shape, 3).sub_(middle[:, None])
        hidden = enter(offsets.to(first[0].weight.dtype), index)
        for step in steps:
            hidden = step(F.relu(hidden, inplace=True))
        return hidden.amax(dim=1)

    offset = torch.arange(len(xyz), device=ball.device).mul_(xyz.shape[1])
    widest = max(layer.weight.shape[0] for layer, _ in layers)
    pooled = in_pieces(
        part,
        (ball + offset[:, None, None]).flatten(0, 1),
        centers.flatten(0, 1),
        places=ball.shape[2],
        width=widest,
        whole=any(norm.training for _, norm in layers),
    )
    return pooled.view(*centers.shape[:2], -1)


def _entry(first: Layer, features: Tensor, radius: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The first layer: offsets ``(G, k, 3)`` and places ``(G, k)`` in the flattened batch, to ``(G, k, D)``.

    Convolving a feature and moving it into a ball commute: the wide part of the product is done once per point
    instead of once per place.
    """
    layer, norm = first
    weight, bias = (layer.weight.flatten(1), layer.bias) if norm.training else folded(layer, norm)
    near, far = weight.tensor_split([3], dim=1)
    near = near / radius
    if far.shape[1]:
        table = F.linear(features, far, bias).flatten(0, 1)

    def enter(offsets: Tensor, index: Tensor) -> Tensor:
        if far.shape[1]:
            hidden = table.index_select(0, index.flatten()).view(*index.shape, -1) + F.linear(offsets, near)
        else:
            hidden = F.linear(offsets, near, bias)
        return batch_normalized(hidden, norm) if norm.training else hidden

    return enter
