"""Point-BERT, a transformer over local groups (arXiv 2111.14819), as in PointLLM and ULIP.

Module names and weight shapes are those of the published checkpoints. The computation is channel-last, and 1x1
convolutions are matrix products.
"""

from __future__ import annotations

from spa3d.runtime import torchvision_guard as torchvision_guard  # isort: split

from typing import Any, Literal, Self, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from timm.layers import Attention, DropPath, Mlp
from torch import Tensor, nn

from spa3d import ops
from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.encoder import Channel, Encoder
from spa3d_plugins.encoders.inputs import Inputs, validate_points
from spa3d_plugins.encoders.pointwise import Pointwise, apply_in_pieces, batch_normalize, fold_norm, make_function

POSITION_WIDTH = 128
"""Width of the hidden layer of the position embedding."""

THREADS = 512
"""Maximum number of threads of ULIP's sampling operator: a power of two, not above the number of points."""


class PointBERTConfig(ComponentConfig):
    """Shape of the encoder; the defaults are PointLLM's v1.2 with color."""

    inputs: Inputs = ("xyz", "rgb")
    """Channels per point, xyz first; positions come from xyz."""
    width: int = Field(384, ge=1, le=65536)
    """Width of the tokens."""
    heads: int = Field(6, ge=1, le=1024)
    """Attention heads; must divide the width."""
    depth: int = Field(12, ge=1, le=1000)
    """Transformer blocks."""
    groups: int = Field(512, ge=1, le=10**6)
    """Local groups; each gives one token, in addition to the class token."""
    group_size: int = Field(32, ge=1, le=10**6)
    """Points per group (the nearest to its center); groups overlap."""
    group_width: int = Field(256, ge=1, le=65536)
    """Width of a group's feature, before the projection to the width of the tokens."""
    group_hidden: int = Field(128, ge=1, le=65536)
    """Width of the first layer on a group's points; the next layers are two and four times as wide."""
    drop_path: float = Field(0.1, ge=0, lt=1)
    """Drop-path rate of the last block in training; it grows linearly from 0 at the first block."""
    fps: Literal["plain", "pointnet2"] = "plain"
    """Sampling of the centers: as in PointLLM, or as in ULIP's CUDA operator, which skips points at the origin."""
    random_start: bool = False
    """Start sampling at a new random point in each call, as in PointLLM; a forward is then not repeatable."""

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads must divide the width {self.width}, got {self.heads}")
        return self


class PointBERT(Encoder):
    """Encoder with a class token and one token per group, in the sampling order of the centers."""

    Config = PointBERTConfig
    config: PointBERTConfig

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        config = self.config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.cls_pos = nn.Parameter(torch.zeros(1, 1, config.width))
        self.encoder = _GroupEncoder(self.channels, config.group_hidden, config.group_width)
        self.reduce_dim = nn.Linear(config.group_width, config.width)
        self.pos_embed = nn.Sequential(nn.Linear(3, POSITION_WIDTH), nn.GELU(), nn.Linear(POSITION_WIDTH, config.width))
        self.blocks = _Transformer(config.width, config.heads, config.depth, config.drop_path)
        self.norm = nn.LayerNorm(config.width)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.cls_pos, std=0.02)

    @property
    def inputs(self) -> tuple[Channel, ...]:
        """Configured channels."""
        return self.config.inputs

    @property
    def min_points(self) -> int:
        """Least points of a cloud, for different centers and for different members of each group."""
        return max(self.config.groups, self.config.group_size)

    @property
    def dim(self) -> int:
        """Configured width of the tokens."""
        return self.config.width

    def num_tokens(self, num_points: int) -> int:
        """Number of groups plus the class token, for any size of the cloud."""
        return self.config.groups + 1

    def forward(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B M D"]:
        """Encode clouds: class token, then groups in sampling order; coordinates in radii."""
        groups, centers = self._group_points(points)
        dtype = self.cls_token.dtype
        tokens = self.reduce_dim(self.encoder(groups.to(dtype)))
        positions = self.pos_embed(centers.to(dtype))
        clouds = len(points)
        return self.norm(
            self.blocks(
                torch.cat([self.cls_token.expand(clouds, -1, -1), tokens], dim=1),
                torch.cat([self.cls_pos.expand(clouds, -1, -1), positions], dim=1),
            )
        )

    def pool(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B F"]:
        """Output of ULIP's encoder, ``(B, 2 width)``: class token and maximum over the groups."""
        tokens = self(points)
        return torch.cat([tokens[:, 0], tokens[:, 1:].amax(dim=1)], dim=1)

    def _group_points(self, points: Tensor) -> tuple[Float[Tensor, "B G k C"], Float[Tensor, "B G 3"]]:
        """Return points relative to their group's center (colors unchanged), and the centers."""
        points = validate_points(self, points)
        xyz = points[..., :3]
        centers = ops.group(xyz, self._sample_centers(xyz))
        members = ops.group(points, ops.knn(centers, xyz, self.config.group_size))
        return members - F.pad(centers, (0, points.shape[-1] - 3))[:, :, None], centers

    def _sample_centers(self, xyz: Float[Tensor, "B N 3"]) -> Int[Tensor, "B G"]:
        """Sample the indices of the centers.

        ULIP's operator assigns point i to thread i modulo the number of threads. Of equally far points it takes that
        of the lowest thread. Sorting the points by thread makes this the point with the lowest index.
        """
        count, start = self.config.groups, self._start(xyz)
        if self.config.fps == "plain":
            return ops.farthest_point_sample(xyz, count, start=start)
        number = xyz.shape[1]
        threads = min(1 << number.bit_length() - 1, THREADS)
        order = torch.arange(number, device=xyz.device).remainder(threads).argsort(stable=True)
        return order[ops.farthest_point_sample(xyz[:, order], count, start=start, compat="pointnet2")]

    def _start(self, xyz: Tensor) -> int | Int[Tensor, " B"]:
        """Index of the first center; drawn from torch's global CPU generator, as in PointLLM."""
        clouds, number, _ = xyz.shape
        return torch.randint(number, (clouds,)).to(xyz.device) if self.config.random_start else 0


class _GroupEncoder(nn.Module):
    """Small PointNet per group: two layers, concatenation with the maximum, two layers.

    Two products are smaller here than in the published form. The maximum is equal for all points of a group, so its
    half of the third layer is computed once per group. There is no activation between the second layer and the other
    half of the third, so both are merged into one matrix, as narrow as the first layer's output. This nearly halves
    the work.
    """

    def __init__(self, channels: int, hidden: int, width: int) -> None:
        super().__init__()
        self.first_conv = _Layers(channels, hidden, 2 * hidden)
        self.second_conv = _Layers(4 * hidden, 4 * hidden, width)

    def forward(self, groups: Float[Tensor, "B G k C"]) -> Float[Tensor, "B G W"]:
        """Compute one feature per group."""
        first, first_norm, second = self.first_conv.parts()
        third, norm, last = self.second_conv.parts()
        weight, bias = (third.weight.flatten(1), third.bias) if norm.training else fold_norm(third, norm)
        of_group, of_point = weight.tensor_split(2, dim=1)
        bias = F.linear(cast("Tensor", second.bias), of_point, bias)
        of_point = of_point @ second.weight.flatten(1)
        enter = make_function(first, first_norm)

        def features(points: Tensor) -> Tensor:
            hidden = F.relu_(enter(points))
            shared = F.linear(second(hidden).amax(dim=-2, keepdim=True), of_group, bias)
            hidden = F.linear(hidden, of_point).add_(shared)
            if norm.training:
                hidden = batch_normalize(hidden, norm)
            return last(F.relu_(hidden)).amax(dim=-2)

        whole, places = first_norm.training or norm.training, groups.shape[2]
        pooled = apply_in_pieces(features, groups.flatten(0, 1), places=places, width=len(third.weight), whole=whole)
        return pooled.unflatten(0, groups.shape[:2])


class _Layers(nn.Sequential):
    """Two 1x1 convolutions, the first with batch normalization and ReLU."""

    def __init__(self, inside: int, hidden: int, outside: int) -> None:
        first = Pointwise(inside, hidden, dims=1, bias=True)
        super().__init__(first, nn.BatchNorm1d(hidden), nn.ReLU(), Pointwise(hidden, outside, dims=1, bias=True))

    def parts(self) -> tuple[Pointwise, nn.BatchNorm1d, Pointwise]:
        """Layers with parameters: convolution, normalization, convolution."""
        first, norm, _, second = self
        return cast("Pointwise", first), cast("nn.BatchNorm1d", norm), cast("Pointwise", second)


class _Transformer(nn.Module):
    """Transformer blocks; the position embeddings are added before each block."""

    def __init__(self, width: int, heads: int, depth: int, drop_path: float) -> None:
        super().__init__()
        rates = torch.linspace(0, drop_path, depth, device="cpu").tolist()
        self.blocks = nn.ModuleList(_Block(width, heads, rate) for rate in rates)

    def forward(self, tokens: Float[Tensor, "B M D"], positions: Float[Tensor, "B M D"]) -> Float[Tensor, "B M D"]:
        """Run all blocks."""
        for block in self.blocks:
            tokens = block(tokens + positions)
        return tokens


class _Block(nn.Module):
    """Pre-norm attention and MLP, each with a shortcut; modules in the checkpoints' order."""

    def __init__(self, width: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width)
        self.attn = Attention(width, heads)

    def forward(self, tokens: Float[Tensor, "B M D"]) -> Float[Tensor, "B M D"]:
        """``(B, M, D)`` to ``(B, M, D)``."""
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        return tokens + self.drop_path(self.mlp(self.norm2(tokens)))
