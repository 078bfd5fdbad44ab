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
    """A point-cloud encoder that yields tokens with a place in space.

    A subclass has a ``Config`` and builds itself from its values; it gets exactly the channels it asks for
    (``inputs``, in order), already normalized, and any number of points from ``min_points`` on. Adapting a
    cloud to these wishes is the work of ``spa3d.data.preparation``, never of the encoder. Coordinates and index
    selection stay float32 under autocast.
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
    def pooled(self, points: Float[Tensor, "B N C"]) -> Float[Tensor, "B F"]:
        """One feature per cloud: what the published encoder returns."""

    @property
    def channels(self) -> int:
        """Number C of input channels."""
        return sum(CHANNELS[name] for name in self.inputs)
