"""Encoder: points ``(B, N, C)`` to tokens ``(B, M, D)``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from spa3d.contracts.checks import NOT_FINITE, count_misfit, not_finite, tensor_misfit
from spa3d.contracts.config import ComponentConfig
from spa3d.errors import PluginError

Channel = Literal["xyz", "rgb", "height"]
CHANNELS: dict[str, int] = {"xyz": 3, "rgb": 3, "height": 1}


class Encoder(nn.Module, ABC):
    """Point-cloud encoder; returns tokens with positions in space.

    A subclass has a ``Config`` and is built from its values. It gets the channels that it lists in ``inputs``, in that
    order, already normalized, and at least ``min_points`` points. ``spa3d.data.preparation`` adapts the clouds; an
    encoder must not. Coordinates and index selection stay float32 under autocast. A 3D LLM calls it without autocast,
    and keeps the running statistics of batch normalization, also where the encoder trains.
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
        """Number C of input channels; raises `PluginError` if ``inputs`` are no channels."""
        wrong = _inputs_misfit(self.inputs)
        if wrong:
            raise PluginError.by(self, wrong)
        return sum(CHANNELS[name] for name in self.inputs)


def promise_misfits(encoder: Encoder, num_points: int) -> list[str]:
    """Describe false statements of `encoder` about itself, for clouds of `num_points`."""
    mismatches = [count_misfit("min_points", encoder.min_points), count_misfit("dim", encoder.dim)]
    if not mismatches[0] and num_points >= encoder.min_points:
        mismatches.append(count_misfit(f"num_tokens({num_points})", encoder.num_tokens(num_points)))
    return [misfit for misfit in (_inputs_misfit(encoder.inputs), *mismatches) if misfit]


def _inputs_misfit(inputs: object) -> str:
    known = isinstance(inputs, list | tuple) and all(isinstance(name, str) and name in CHANNELS for name in inputs)
    if isinstance(inputs, list | tuple) and known and inputs and len(set(inputs)) == len(inputs):
        return ""
    return f"inputs is {inputs!r}; it must list different channels among {', '.join(CHANNELS)}"


def check_tokens(encoder: Encoder, points: Tensor, tokens: Tensor, records: Sequence[str], *, finite: bool) -> None:
    """Check the tokens of the clouds `points` of `records`; with `finite` also their numbers.

    Raises:
        PluginError: they are not what `encoder` promises; the message names it and the record.

    """
    wrong = tensor_misfit(tokens, (len(points), encoder.num_tokens(points.shape[1]), encoder.dim))
    if wrong:
        raise PluginError.by(encoder, wrong)
    bad = not_finite(tokens) if finite else []
    if bad:
        raise PluginError.by(encoder, f"{NOT_FINITE}, for record {records[bad[0]]}")
