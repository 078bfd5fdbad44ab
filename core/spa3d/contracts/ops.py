"""Ops: point operations of a backend. ``spa3d.ops`` defines them and chooses the backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from spa3d.contracts.config import ComponentConfig


class Ops(ABC):
    """One backend of the point operations.

    Inputs are float32, contiguous and finite (`spa3d.ops` takes care of it); indices are int64.

    Distances are squared, float32, ``((dx·dx) + (dy·dy)) + (dz·dz)``, each operation rounded: no fused
    multiply-add, no expanded form. Backends that follow this agree in every index.
    """

    Config: ClassVar[type[ComponentConfig]] = ComponentConfig
    devices: ClassVar[tuple[str, ...]] = ()
    """Types of device whose tensors it takes (``cpu``, ``cuda``); empty: all."""

    @abstractmethod
    def fps(self, xyz: Float[Tensor, "B N 3"], count: int, start: Int[Tensor, " B"]) -> Int[Tensor, "B count"]:
        """Farthest point sampling from `start`; ties go to the lowest index."""

    @abstractmethod
    def knn(self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], k: int) -> Int[Tensor, "B Q k"]:
        """The k nearest points, sorted by (distance, index); three-NN is the case k = 3."""

    @abstractmethod
    def ball_query(
        self, query: Float[Tensor, "B Q 3"], xyz: Float[Tensor, "B N 3"], radius: float, nsample: int, *, closed: bool
    ) -> Int[Tensor, "B Q nsample"]:
        """First `nsample` points within `radius` in index order, padded with the first.

        `closed` counts a point exactly on the sphere. An empty ball gives index 0.
        """
