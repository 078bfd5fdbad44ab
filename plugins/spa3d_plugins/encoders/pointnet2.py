"""PointNet++ with single-scale grouping: two set abstractions on balls, then a global stage.

arXiv 1706.02413. Module names and weight shapes are those of the published ULIP checkpoint. The computation is
channel-last, and 1x1 convolutions are matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, cast

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

Widths = Annotated[tuple[Positive, ...], Field(min_length=1)]


class PointNet2Config(ComponentConfig):
    """Shape of the encoder; the defaults are ULIP's PointNet++ SSG."""

    inputs: Inputs = ("xyz",)
    """Channels per point, xyz first; the others are features of the points."""
    centers: tuple[Positive, ...] = Field((512, 128), min_length=1)
    """Centers of each set abstraction, not increasing; the last number is the number of tokens."""
    radius: tuple[Annotated[float, Field(gt=0, le=1000)], ...] = (0.2, 0.4)
    """Radius of the balls of each set abstraction, in units of the cloud's radius."""
    nsample: tuple[Positive, ...] = (32, 64)
    """Points per ball of each set abstraction."""
    widths: tuple[Widths, ...] = ((64, 64, 128), (128, 128, 256))
    """Widths of the layers of each set abstraction."""
    last: Widths = (256, 512, 1024)
    """Widths of the layers of the global stage, in which all centers are one group."""
    head: Widths = (512, 256)
    """Widths of the head after the global stage; the last is the width of the pooled feature."""
    dropout: float = Field(0.4, ge=0, lt=1)
    """Dropout in the head."""
    tokens: Literal["stage", "prepool"] = "stage"
    """Source of the tokens: the last set abstraction, or the global stage before its maximum."""

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        lengths = {name: len(getattr(self, name)) for name in ("centers", "radius", "nsample", "widths")}
        if len(set(lengths.values())) > 1:
            numbers = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ValueError(f"each set abstraction needs one value of each; there are {numbers}")
        if any(before < after for before, after in pairwise(self.centers)):
            raise ValueError(f"centers must not increase from one set abstraction to the next: {list(self.centers)}")
        return self


class PointNet2(Encoder):
    """Encoder with a token per center of the last stage (published: 128 of width 256)."""

    Config = PointNet2Config
    config: PointNet2Config

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        config = self.config
        inside = self.channels - 3
        for number, widths in enumerate((*config.widths, config.last), start=1):
            self.add_module(f"sa{number}", _Layers((3 + inside, *widths)))
            inside = widths[-1]
        for number, (before, after) in enumerate(pairwise((inside, *config.head)), start=1):
            self.add_module(f"fc{number}", nn.Linear(before, after))
            self.add_module(f"bn{number}", nn.BatchNorm1d(after))

    @property
    def inputs(self) -> tuple[Channel, ...]:
        """Configured channels."""
        return self.config.inputs

    @property
    def min_points(self) -> int:
        """Least points of a cloud: the centers of the first set abstraction."""
        return self.config.centers[0]

    @property
    def dim(self) -> int:
        """Width of the last set abstraction, or of the global stage."""
        return (self.config.last if self.config.tokens == "prepool" else self.config.widths[-1])[-1]

    def num_tokens(self, num_points: int) -> int:
        """Number of centers of the last set abstraction, for any size of the cloud."""
        return self.config.centers[-1]

    def forward(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B M D"]:
        """Encode clouds to tokens in sampling order; coordinates in units of the cloud's radius."""
        xyz, features = self._abstract(points)
        return features if self.config.tokens == "stage" else self._apply_last(xyz, features)

    def pool(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B F"]:
        """Output of the published encoder: global stage, maximum, head; published ``(B, 256)``."""
        feature = self._apply_last(*self._abstract(points)).amax(dim=1)
        for number in range(1, len(self.config.head) + 1):
            layer, norm = self.get_submodule(f"fc{number}"), self.get_submodule(f"bn{number}")
            feature = F.relu(apply_normalized(feature, cast("nn.Linear", layer), cast("nn.BatchNorm1d", norm)))
            feature = F.dropout(feature, self.config.dropout, self.training)
        return feature

    def _abstract(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Compute centers ``(B, M, 3)`` and features ``(B, M, D)`` of the last set abstraction."""
        config, points = self.config, validate_points(self, points)
        xyz, features = points[..., :3], points[..., 3:].to(next(self.parameters()).dtype)
        # Farthest point sampling of its own result keeps points and order. So one search is enough for all stages:
        # each stage takes the first centers of the stage before.
        sampled = ops.group(xyz, ops.farthest_point_sample(xyz, config.centers[0]))
        shapes = zip(config.centers, config.radius, config.nsample, strict=True)
        for number, (count, radius, nsample) in enumerate(shapes, start=1):
            centers = sampled[:, :count]
            ball = ops.ball_query(centers, xyz, radius, nsample, closed=True)
            features = F.relu(abstract_sets((xyz, features), centers, ball, self._layers(number)))
            xyz = centers
        return xyz, features

    def _apply_last(self, xyz: Tensor, features: Tensor) -> Tensor:
        """Run the point-wise part of the global stage with absolute coordinates, ``(B, M, D)``."""
        hidden = torch.cat([xyz.to(features.dtype), features], dim=-1)
        for layer in self._layers(len(self.config.centers) + 1):
            hidden = F.relu(apply_normalized(hidden, *layer), inplace=True)
        return hidden

    def _layers(self, number: int) -> Sequence[Layer]:
        return cast("_Layers", self.get_submodule(f"sa{number}")).pairs()


class _Layers(nn.Module):
    """1x1 convolutions, each with batch normalization."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.mlp_convs = nn.ModuleList(Pointwise(*pair, dims=2, bias=True) for pair in pairwise(widths))
        self.mlp_bns = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])

    def pairs(self) -> Sequence[Layer]:
        """Convolution and normalization of each layer."""
        return cast("Sequence[Layer]", list(zip(self.mlp_convs, self.mlp_bns, strict=True)))
