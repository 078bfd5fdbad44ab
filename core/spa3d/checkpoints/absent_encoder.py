"""Stand-in for an encoder whose weights are in no file of a model's folder."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from spa3d.contracts.encoder import Channel, Encoder
from spa3d.errors import CheckpointError


class AbsentEncoder(Encoder):
    """Encoder without weights, which refuses clouds.

    A model with it takes encoder tokens (``point_tokens``) alone.

    Args:
        described: an encoder with the same shape; its weights are dropped.
        folder: of the model, for messages.

    """

    def __init__(self, described: Encoder, folder: Path) -> None:
        super().__init__()
        self._inputs, self._min_points, self._dim = described.inputs, described.min_points, described.dim
        self._num_tokens = described.to("meta").num_tokens
        self.problem = (
            f"{folder}: its weights have no encoder, so it takes encoder tokens (point_tokens) and no clouds; give the "
            "folder of a whole model"
        )

    @property
    def inputs(self) -> tuple[Channel, ...]:
        """The channels of the described encoder."""
        return self._inputs

    @property
    def min_points(self) -> int:
        """The smallest number of points of the described encoder."""
        return self._min_points

    @property
    def dim(self) -> int:
        """Width D of the tokens."""
        return self._dim

    def num_tokens(self, num_points: int) -> int:
        """Number M of tokens for a cloud of `num_points`."""
        return self._num_tokens(num_points)

    def forward(self, points: Tensor) -> Tensor:
        """Raise `CheckpointError`."""
        raise CheckpointError(self.problem)

    def pool(self, points: Tensor) -> Tensor:
        """Raise `CheckpointError`."""
        raise CheckpointError(self.problem)
