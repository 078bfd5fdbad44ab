"""PointNeXt-S: set abstraction with ball query and residual MLPs (arXiv 2206.04670).

Module names and weight shapes are those of the published ULIP checkpoints. The computation is channel-last, and
1x1 convolutions are matrix products.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Literal, Self, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from spa3d import ops
from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.encoder import Channel, Encoder
from spa3d_plugins.encoders.inputs import Inputs, Positive, validate_points
from spa3d_plugins.encoders.pointwise import Pointwise, apply_normalized
from spa3d_plugins.encoders.set_abstraction import Layer, abstract_sets


class PointNeXtConfig(ComponentConfig):
    """Shape of the encoder; the defaults are ULIP's PointNeXt-S."""

    inputs: Inputs = ("xyz", "height")
    """Channels per point, xyz first; positions come from xyz."""
    width: int = Field(32, ge=1, le=65536)
    """Channels after the stem; each down-sampling stage doubles them."""
    strides: tuple[Positive, ...] = Field((1, 2, 2, 2, 2, 1), min_length=3)
    """Input points / output points of each stage: 1 for the stem, ≥ 2 for set abstractions, 1 for the global stage."""
    nsample: int = Field(32, ge=1, le=10**6)
    """Points per ball."""
    radius: float = Field(0.15, gt=0, le=1000)
    """Radius of the first stage's balls, in units of the cloud's radius."""
    radius_scale: float = Field(1.5, gt=0, le=1000)
    """Ratio of a stage's radius to the radius of the stage before."""
    sa_layers: int = Field(2, ge=1, le=1000)
    """Layers per set abstraction; all except the last have half the width."""
    points: int = Field(0, ge=0, le=10**7)
    """Number of points that sets the stages' sizes and fixes the number of tokens; 0: the points of each cloud."""
    head: tuple[Positive, ...] = Field((512, 256), min_length=1)
    """Widths of the head after the global stage; the last is the width of the pooled feature."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout in the head."""
    tokens: Literal["stage", "prepool"] = "stage"
    """Source of the tokens: the last set abstraction, or the global stage before its maximum."""

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        first, *middle, last = self.strides
        if first != 1 or last != 1 or min(middle) < 2:
            raise ValueError(f"strides must be 1, then numbers ≥ 2, then 1, got {list(self.strides)}")
        if self.points and self.points < math.prod(self.strides):
            raise ValueError(f"points must be 0 or at least the product of the strides, {math.prod(self.strides)}")
        return self


class PointNeXt(Encoder):
    """Encoder with a token per center of the last stage (published: N / 16 of width 512)."""

    Config = PointNeXtConfig
    config: PointNeXtConfig

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        config = self.config
        strides = config.strides[1:-1]
        widths = [config.width * 2**i for i in range(len(strides) + 1)]
        radii = [config.radius * config.radius_scale**i for i in range(len(strides))]
        self.encoder = _Trunk(
            _Stem(self.channels, widths[0]),
            [
                _SetAbstraction(*pair, layers=config.sa_layers, radius=radius, nsample=config.nsample)
                for pair, radius in zip(pairwise(widths), radii, strict=True)
            ],
            _GlobalStage(widths[-1], layers=config.sa_layers),
        )
        self.prediction = nn.ModuleDict({"head": _head((widths[-1], *config.head), config.dropout)})
        self._strides, self._dim = strides, widths[-1]

    @property
    def inputs(self) -> tuple[Channel, ...]:
        """Configured channels."""
        return self.config.inputs

    @property
    def min_points(self) -> int:
        """Least points of a cloud: the product of the strides, which gives one token."""
        return math.prod(self._strides)

    @property
    def dim(self) -> int:
        """Width of the last set abstraction."""
        return self._dim

    def num_tokens(self, num_points: int) -> int:
        """Points of the cloud (or the configured number) divided by the product of the strides."""
        return self._sizes(num_points)[-1]

    def forward(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B M D"]:
        """Encode clouds to tokens in sampling order; coordinates in units of the cloud's radius."""
        xyz, features = self._abstract(points)
        return features if self.config.tokens == "stage" else self.encoder.apply_last(xyz, features)

    def pool(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B F"]:
        """Output of the published encoder: global stage, maximum, head; published ``(B, 256)``."""
        xyz, features = self._abstract(points)
        return self.prediction["head"](self.encoder.apply_last(xyz, features).amax(dim=1))

    def _abstract(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Compute centers ``(B, M, 3)`` and features ``(B, M, D)`` of the last set abstraction."""
        points = validate_points(self, points)
        return cast("tuple[Tensor, Tensor]", self.encoder(points, self._sizes(points.shape[1])))

    def _sizes(self, num_points: int) -> list[int]:
        """Number of centers after each set abstraction."""
        sizes, left = [], self.config.points or num_points
        for stride in self._strides:
            left //= stride
            sizes.append(left)
        return sizes


class _Trunk(nn.Module):
    """All stages, each in its own list, as in the checkpoints (one block per stage)."""

    def __init__(self, stem: nn.Module, abstractions: list[nn.Module], last: nn.Module) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(nn.Sequential(stage) for stage in (stem, *abstractions, last))

    def forward(self, points: Tensor, sizes: list[int]) -> tuple[Tensor, Tensor]:
        """Compute centers ``(B, M, 3)`` and features ``(B, M, D)`` of the last set abstraction."""
        xyz = points[..., :3]
        features = self.encoder[0](points.to(next(self.parameters()).dtype))
        # Farthest point sampling of its own result keeps points and order. So one search is enough for all stages:
        # each stage takes the first centers of the stage before.
        index = ops.farthest_point_sample(xyz, sizes[0])
        for stage, size in zip(self.encoder[1:-1], sizes, strict=True):
            xyz, features = stage((xyz, features, index[:, :size]))
            index = torch.arange(size, device=index.device).expand(len(index), -1)
        return xyz, features

    def apply_last(self, xyz: Tensor, features: Tensor) -> Tensor:
        """Run the point-wise part of the global stage, ``(B, M, D)``."""
        return self.encoder[-1]((xyz, features))


class _Stem(nn.Module):
    """Linear layer from the input channels to the first width."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Sequential(Pointwise(channels, width, dims=1, bias=True))])

    def forward(self, points: Tensor) -> Tensor:
        """``(B, N, C)`` to ``(B, N, W)``."""
        return self.convs[0](points)


class _Layer(nn.Sequential):
    """1x1 convolution without bias, then batch normalization over all positions."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(Pointwise(inside, outside, dims=2, bias=False), nn.BatchNorm1d(outside))

    def forward(self, x: Tensor) -> Tensor:
        """``(..., inside)`` to ``(..., outside)``."""
        layer, norm = cast("tuple[Pointwise, nn.BatchNorm1d]", tuple(self))
        return apply_normalized(x, layer, norm)


class _SetAbstraction(nn.Module):
    """Layers on [(neighbor − center) / radius, feature], maximum, and a shortcut."""

    def __init__(self, inside: int, outside: int, *, layers: int, radius: float, nsample: int) -> None:
        super().__init__()
        widths = [*[outside // 2] * (layers - 1), outside]
        self.skipconv = nn.Sequential(Pointwise(inside, outside, dims=1, bias=True))
        self.convs = nn.ModuleList(_Layer(*pair) for pair in pairwise([3 + inside, *widths]))
        self.radius, self.nsample = radius, nsample

    def forward(self, cloud: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Compute centers and features; ``(B, N, 3)``, ``(B, N, C)``, centers' indices ``(B, M)``."""
        xyz, features, index = cloud
        centers = ops.group(xyz, index)
        ball = ops.ball_query(centers, xyz, self.radius, self.nsample, closed=False)
        layers = [cast("Layer", tuple(cast("_Layer", layer))) for layer in self.convs]
        hidden = abstract_sets((xyz, features), centers, ball, layers, radius=self.radius)
        return centers, F.relu(hidden + self.skipconv(ops.group(features, index)))


class _GlobalStage(nn.Module):
    """Global stage: all centers as one group, with absolute coordinates."""

    def __init__(self, width: int, *, layers: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_Layer(*pair) for pair in pairwise([3 + width, *[width] * layers]))

    def forward(self, cloud: tuple[Tensor, Tensor]) -> Tensor:
        """``(B, M, 3)`` and ``(B, M, D)`` to ``(B, M, D)``, before the maximum over M."""
        xyz, features = cloud
        hidden = torch.cat([xyz.to(features.dtype), features], dim=-1)
        for layer in self.convs:
            hidden = F.relu(layer(hidden))
        return hidden


def _head(widths: tuple[int, ...], dropout: float) -> nn.Sequential:
    """Linear layers without bias, each with batch normalization, ReLU and dropout."""
    layers: list[nn.Module] = []
    for inside, outside in pairwise(widths):
        block = nn.Sequential(nn.Linear(inside, outside, bias=False), nn.BatchNorm1d(outside), nn.ReLU())
        layers += [block, nn.Dropout(dropout)]
    return nn.Sequential(*layers)
