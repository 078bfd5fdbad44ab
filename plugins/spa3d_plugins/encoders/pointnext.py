"""PointNeXt-S: set abstraction with ball query, normalized offsets and residual MLPs (arXiv 2206.04670).

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
from spa3d_plugins.encoders.inputs import Inputs, Positive, accepted
from spa3d_plugins.encoders.pointwise import Pointwise, normalized
from spa3d_plugins.encoders.set_abstraction import Layer, abstracted


class PointNeXtConfig(ComponentConfig):
    """Shape of the encoder; the defaults are ULIP's PointNeXt-S."""

    inputs: Inputs = ("xyz", "height")
    """Channels per point, xyz first; positions are taken from it."""
    width: int = Field(32, ge=1)
    """Channels after the stem; each down-sampling stage doubles them."""
    strides: tuple[Positive, ...] = Field((1, 2, 2, 2, 2, 1), min_length=3)
    """Points in over points out per stage: 1 for the stem, from 2 on for set abstractions, 1 for the global stage."""
    nsample: int = Field(32, ge=1)
    """Places per ball."""
    radius: float = Field(0.15, gt=0)
    """Radius of the first stage's balls; the unit is the radius of the cloud."""
    radius_scale: float = Field(1.5, gt=0)
    """Radius of each further stage over that of the stage before."""
    sa_layers: int = Field(2, ge=1)
    """Layers per set abstraction; all but the last have half the width."""
    points: int = Field(0, ge=0)
    """Points the stages' sizes are counted from, so that the number of tokens is fixed; 0: those of each cloud."""
    head: tuple[Positive, ...] = Field((512, 256), min_length=1)
    """Widths of the head behind the global stage; the last one is that of the pooled feature."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout in the head."""
    tokens: Literal["stage", "prepool"] = "stage"
    """What a token is: a feature of the last set abstraction, or of the global stage before its maximum."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        first, *middle, last = self.strides
        if first != 1 or last != 1 or min(middle) < 2:
            raise ValueError(f"strides must be 1, then numbers from 2 on, then 1; they are {list(self.strides)}")
        if self.points and self.points < math.prod(self.strides):
            raise ValueError(f"points must be 0 or at least the product of the strides, {math.prod(self.strides)}")
        return self


class PointNeXt(Encoder):
    """Tokens are the centers of the last set abstraction, N / 16 of width 512 in the published shape."""

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
            _Global(widths[-1], layers=config.sa_layers),
        )
        self.prediction = nn.ModuleDict({"head": _head((widths[-1], *config.head), config.dropout)})
        self._strides, self._dim = strides, widths[-1]

    @property
    def inputs(self) -> tuple[Channel, ...]:
        """The channels it was configured for."""
        return self.config.inputs

    @property
    def min_points(self) -> int:
        """The product of the strides: one token."""
        return math.prod(self._strides)

    @property
    def dim(self) -> int:
        """Width of the last set abstraction."""
        return self._dim

    def num_tokens(self, num_points: int) -> int:
        """The points of the cloud (or the configured number) over the product of the strides."""
        return self._sizes(num_points)[-1]

    def forward(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B M D"]:
        """Tokens in the order of farthest point sampling; coordinates in units of the cloud's radius."""
        xyz, features = self._abstracted(points)
        return features if self.config.tokens == "stage" else self.encoder.last(xyz, features)

    def pooled(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B F"]:
        """The published encoder's output: global stage, maximum, head; ``(B, 256)`` in the published shape."""
        xyz, features = self._abstracted(points)
        return self.prediction["head"](self.encoder.last(xyz, features).amax(dim=1))

    def _abstracted(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Centers ``(B, M, 3)`` and features ``(B, M, D)`` of the last set abstraction."""
        points = accepted(self, points)
        return cast("tuple[Tensor, Tensor]", self.encoder(points, self._sizes(points.shape[1])))

    def _sizes(self, num_points: int) -> list[int]:
        """Number of centers after each set abstraction."""
        sizes, left = [], self.config.points or num_points
        for stride in self._strides:
            left //= stride
            sizes.append(left)
        return sizes


class _Trunk(nn.Module):
    """All stages; each sits in a list of its own, as in the checkpoints (one block per stage)."""

    def __init__(self, stem: nn.Module, abstractions: list[nn.Module], last: nn.Module) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(nn.Sequential(stage) for stage in (stem, *abstractions, last))

    def forward(self, points: Tensor, sizes: list[int]) -> tuple[Tensor, Tensor]:
        """Centers ``(B, M, 3)`` and features ``(B, M, D)`` of the last set abstraction."""
        xyz = points[..., :3]
        features = self.encoder[0](points.to(next(self.parameters()).dtype))
        # Sampling what farthest point sampling chose gives the same points in the same order, so that one search
        # serves all stages: each takes the first of the centers before it.
        index = ops.farthest_point_sample(xyz, sizes[0])
        for stage, size in zip(self.encoder[1:-1], sizes, strict=True):
            xyz, features = stage((xyz, features, index[:, :size]))
            index = torch.arange(size, device=index.device).expand(len(index), -1)
        return xyz, features

    def last(self, xyz: Tensor, features: Tensor) -> Tensor:
        """Point-wise part of the global stage, ``(B, M, D)``."""
        return self.encoder[-1]((xyz, features))


class _Stem(nn.Module):
    """Input channels to the first width, linearly."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Sequential(Pointwise(channels, width, dims=1, bias=True))])

    def forward(self, points: Tensor) -> Tensor:
        """``(B, N, C)`` to ``(B, N, W)``."""
        return self.convs[0](points)


class _Layer(nn.Sequential):
    """A 1x1 convolution without bias and batch normalization over all places."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(Pointwise(inside, outside, dims=2, bias=False), nn.BatchNorm1d(outside))

    def forward(self, x: Tensor) -> Tensor:
        """``(..., inside)`` to ``(..., outside)``."""
        layer, norm = cast("tuple[Pointwise, nn.BatchNorm1d]", tuple(self))
        return normalized(x, layer, norm)


class _SetAbstraction(nn.Module):
    """Centers look at their ball: [(neighbor − center) / radius, feature] → layers → maximum, plus a shortcut."""

    def __init__(self, inside: int, outside: int, *, layers: int, radius: float, nsample: int) -> None:
        super().__init__()
        widths = [*[outside // 2] * (layers - 1), outside]
        self.skipconv = nn.Sequential(Pointwise(inside, outside, dims=1, bias=True))
        self.convs = nn.ModuleList(_Layer(*pair) for pair in pairwise([3 + inside, *widths]))
        self.radius, self.nsample = radius, nsample

    def forward(self, cloud: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Points ``(B, N, 3)``, features ``(B, N, C)`` and centers' indices ``(B, M)`` to centers and features."""
        xyz, features, index = cloud
        centers = ops.group(xyz, index)
        ball = ops.ball_query(centers, xyz, self.radius, self.nsample, closed=False)
        layers = [cast("Layer", tuple(cast("_Layer", layer))) for layer in self.convs]
        hidden = abstracted((xyz, features), centers, ball, layers, radius=self.radius)
        return centers, F.relu(hidden + self.skipconv(ops.group(features, index)))


class _Global(nn.Module):
    """All centers as one group, with their absolute coordinates."""

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
