"""Encoder: points ``(B, N, C)`` to tokens ``(B, M, D)``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from spa3d.contracts.config import ComponentConfig

Channel = Literal["xyz", "rgb", "height"]
CHANNELS: dict[str, int] = {"xyz": 3, "rgb": 3, "height": 1}


class Encoder(nn.Module, ABC):
    """Point-cloud encoder; returns tokens with positions in space.

    A subclass has a ``Config`` and is built from its values. It gets the channels that it lists in ``inputs``, in that
    order, already normalized, and at least ``min_points`` points. ``spa3d.data.preparation`` adapts the clouds; an
    encoder must not. Coordinates and index selection stay float32 under autocast.
    """

    Config: ClassVar[type[ComponentConfig]] = ComponentConfig

    def __init__(self, **values: Any) -> None:
        super().__init__()
        self.config = self.Config(**values)

    @property
    @abstractmethod
    def inputs(self) -> tuple[Channel, ...]:
        """The channels of ``points``, in order."""

    @property
    @abstractmethod
    def min_points(self) -> int:
        """The smallest number of points the encoder can take."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Width D of the tokens."""

    @abstractmethod
    def num_tokens(self, num_points: int) -> int:
        """Number M of tokens for a cloud of `num_points`."""

    @abstractmethod
    def forward(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B M D"]:
        """Encode `points` into tokens."""

    @abstractmethod
    def pool(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B F"]:
        """One feature per cloud, as the published encoder returns it."""

    @property
    def channels(self) -> int:
        """Number C of input channels."""
        return sum(CHANNELS[name] for name in self.inputs)
