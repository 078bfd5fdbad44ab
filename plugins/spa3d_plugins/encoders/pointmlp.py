"""PointMLP: residual MLPs on normalized groups of neighbors (arXiv 2202.07123).

Module names and weight shapes are those of the published ULIP checkpoint. The computation is channel-last, and
1x1 convolutions are matrix products.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, Self, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from spa3d import ops
from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.encoder import Channel, Encoder
from spa3d_plugins.encoders.inputs import Inputs, Positive, validate_points
from spa3d_plugins.encoders.pointwise import (
    Pointwise,
    apply_in_pieces,
    apply_normalized,
    batch_normalize,
    fold_norm,
    make_function,
)

EPSILON = 1e-5
"""Added to the standard deviation before the division by it."""


class PointMLPConfig(ComponentConfig):
    """Shape of the encoder; the defaults are ULIP's PointMLP."""

    inputs: Inputs = ("xyz",)
    """Channels per point, xyz first; all enter the embedding, positions come from xyz."""
    points: int = Field(1024, ge=2, le=10**7)
    """Number of points that sets the stages' sizes, for any size of the cloud; each stage halves it."""
    width: int = Field(64, ge=2, le=65536)
    """Width of the embedding; each stage doubles it."""
    stages: int = Field(4, ge=1, le=64)
    """Stages of grouping and residual blocks."""
    k: int = Field(24, ge=1, le=10**6)
    """Neighbors per group."""
    blocks: tuple[Annotated[int, Field(ge=0, le=65536)], Annotated[int, Field(ge=0, le=65536)]] = (2, 2)
    """Residual blocks per stage: on the neighbors, and on the centers after the maximum over the neighbors."""
    head: tuple[Positive, ...] = Field((512, 256), min_length=1)
    """Widths of the head after the maximum over the centers; the last is the width of the pooled feature."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout in the head."""

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.points < 2**self.stages:
            raise ValueError(f"points must be at least {2**self.stages}, so that {self.stages} stages can halve them")
        if self.stages > 1 and self.k > self.points >> self.stages - 1:
            raise ValueError(
                f"k is {self.k}, more than the {self.points >> self.stages - 1} points at the input of the last stage"
            )
        return self


class PointMLP(Encoder):
    """Encoder with a token per center of the last stage (published: 64 of width 1024)."""

    Config = PointMLPConfig
    config: PointMLPConfig

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        config = self.config
        widths = [config.width << stage for stage in range(config.stages + 1)]
        before, after = config.blocks
        self.embedding = _Layer(self.channels, config.width)
        self.local_grouper_list = nn.ModuleList(_Affine(width) for width in widths[:-1])
        self.pre_blocks_list = nn.ModuleList(_Groups(*pair, blocks=before) for pair in pairwise(widths))
        self.pos_blocks_list = nn.ModuleList(_Centers(width, blocks=after) for width in widths[1:])
        self.classifier = _head((widths[-1], *config.head), config.dropout)

    @property
    def inputs(self) -> tuple[Channel, ...]:
        """Configured channels."""
        return self.config.inputs

    @property
    def min_points(self) -> int:
        """Least points of a cloud: centers of the first stage, or neighbors per group if larger."""
        return max(self.config.points // 2, self.config.k)

    @property
    def dim(self) -> int:
        """Width of the last stage."""
        return self.config.width << self.config.stages

    def num_tokens(self, num_points: int) -> int:
        """Number of centers of the last stage, for any size of the cloud."""
        return self.config.points >> self.config.stages

    def forward(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B M D"]:
        """Encode clouds to tokens in sampling order; coordinates in units of the cloud's radius."""
        points = validate_points(self, points)
        xyz, features = points[..., :3], points.to(next(self.parameters()).dtype)
        features = F.relu(self.embedding(features), inplace=True)
        # Farthest point sampling of its own result keeps points and order. So one search is enough for all stages:
        # each stage takes the first centers of the stage before.
        index = ops.farthest_point_sample(xyz, self.config.points // 2)
        stages = zip(self.local_grouper_list, self.pre_blocks_list, self.pos_blocks_list, strict=True)
        for number, (affine, groups, centers) in enumerate(stages, start=1):
            index = index[:, : self.config.points >> number]
            middle = ops.group(xyz, index)
            near = ops.knn(middle, xyz, self.config.k)
            xyz, features = middle, centers(groups(features, index, near, affine))
            index = torch.arange(index.shape[1], device=index.device).expand_as(index)
        return features

    def pool(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B F"]:
        """Output of the published encoder: maximum over centers, head; published ``(B, 256)``."""
        return cast("Tensor", self.classifier(self(points).amax(dim=1)))


class _Layer(nn.Module):
    """1x1 convolution without bias, then batch normalization over all positions."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.net = nn.Sequential(Pointwise(inside, outside, dims=1, bias=False), nn.BatchNorm1d(outside))

    def forward(self, x: Tensor) -> Tensor:
        """``(..., inside)`` to ``(..., outside)``."""
        return apply_normalized(x, *_parts(self.net))


class _Affine(nn.Module):
    """Scale and shift of the normalized neighbors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.affine_alpha = nn.Parameter(torch.ones(1, 1, 1, width))
        self.affine_beta = nn.Parameter(torch.zeros(1, 1, 1, width))


class _Residual(nn.Module):
    """ReLU(layer(ReLU(layer(x))) + x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net1, self.net2 = (
            nn.Sequential(Pointwise(width, width, dims=1, bias=False), nn.BatchNorm1d(width)) for _ in range(2)
        )

    def make_function(self) -> Callable[[Tensor], Tensor]:
        """Return the block as a function, for a tensor processed in pieces."""
        first, second = make_function(*_parts(self.net1)), make_function(*_parts(self.net2))
        return lambda x: F.relu(second(F.relu(first(x), inplace=True)).add_(x), inplace=True)


class _Centers(nn.Module):
    """Residual blocks on the centers."""

    def __init__(self, width: int, *, blocks: int) -> None:
        super().__init__()
        self.operation = nn.ModuleList(_Residual(width) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blocks to each center independently."""
        for block in self.operation:
            x = cast("_Residual", block).make_function()(x)
        return x


class _Groups(nn.Module):
    """Layers on [normalized neighbor − center, center], then the maximum over neighbors."""

    def __init__(self, inside: int, outside: int, *, blocks: int) -> None:
        super().__init__()
        self.transfer = _Layer(2 * inside, outside)
        self.operation = nn.ModuleList(_Residual(outside) for _ in range(blocks))

    def forward(self, features: Tensor, index: Tensor, near: Tensor, affine: _Affine) -> Tensor:
        """Encode clouds to tokens in sampling order; coordinates in radii of the cloud.

        The first layer is linear in differences and center, so the center's part is computed once per center instead
        of once per neighbor.
        """
        layer, norm = _parts(self.transfer.net)
        weight, bias = (layer.weight.flatten(1), None) if norm.training else fold_norm(layer, norm)
        near_weight, center_weight = weight.chunk(2, dim=1)
        anchor = ops.group(features, index)
        difference = ops.group(features, near).sub_(anchor[:, :, None])
        scale = 1 / (_deviation(difference.float()) + EPSILON)
        shift = F.linear(anchor, center_weight, bias) + F.linear(affine.affine_beta.flatten(), near_weight)
        near_weight = near_weight * affine.affine_alpha.view(-1)
        blocks = [cast("_Residual", block).make_function() for block in self.operation]

        def part(difference: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
            hidden = F.linear(difference * scale.to(difference.dtype), near_weight).add_(shift)
            hidden = F.relu(batch_normalize(hidden, norm) if norm.training else hidden, inplace=True)
            for block in blocks:
                hidden = block(hidden)
            return hidden.amax(dim=1)

        return apply_in_pieces(
            part,
            difference.flatten(0, 1),
            shift.flatten(0, 1)[:, None],
            scale.repeat_interleave(index.shape[1])[:, None, None],
            places=near.shape[2],
            width=weight.shape[0],
            whole=norm.training,
        ).view(*index.shape, -1)


def _deviation(x: Tensor) -> Tensor:
    """Unbiased standard deviation over all values of each cloud, ``(B, M, k, C)`` to ``(B,)``.

    Norms of norms are as exact as ``std``, four times faster on a CPU, and have a gradient at 0.
    """
    x = (x - x.mean(dim=(1, 2, 3), keepdim=True)).flatten(2)
    parts = torch.linalg.vector_norm(x, dim=2)
    return torch.linalg.vector_norm(parts, dim=1) / math.sqrt(x[0].numel() - 1)


def _parts(net: nn.Module) -> tuple[Pointwise, nn.BatchNorm1d]:
    layer, norm = cast("nn.Sequential", net)
    return cast("Pointwise", layer), cast("nn.BatchNorm1d", norm)


def _head(widths: tuple[int, ...], dropout: float) -> nn.Sequential:
    """Linear layers, each with batch normalization, ReLU and dropout."""
    layers: list[nn.Module] = []
    for inside, outside in pairwise(widths):
        layers += [nn.Linear(inside, outside), nn.BatchNorm1d(outside), nn.ReLU(inplace=True), nn.Dropout(dropout)]
    return nn.Sequential(*layers)
