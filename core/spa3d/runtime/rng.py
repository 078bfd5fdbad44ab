"""Keyed randomness: a sample gets the same numbers in any batch, worker, rank or device.

Every sample has its own generator, seeded by a hash of (seed, epoch, record id, view). Numbers are made on the CPU and
moved, so a GPU run masks the same patches as a CPU run, and a resumed run gets the same noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

Key = tuple[str | int, ...]


def keyed_generator(*key: str | int) -> np.random.Generator:
    """A numpy generator that is a pure function of `key` (order and types matter)."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


class Draws:
    """Random numbers for a batch, one independent stream per sample.

    Args:
        keys: one key per sample, conventionally ``(seed, epoch, record id, view)``.
        device: device of the returned numbers.

    """

    def __init__(self, keys: Iterable[Key], device: torch.device | str = "cpu") -> None:
        self.keys: Sequence[Key] = tuple(keys)
        self.device = torch.device(device)
        self._streams = [keyed_generator(*key) for key in self.keys]

    def __len__(self) -> int:
        return len(self.keys)

    def uniform(self, *shape: int) -> Float[Tensor, "B ..."]:
        """Numbers in [0, 1), ``(B, *shape)`` float32."""
        return self._stack([stream.random(shape, dtype=np.float32) for stream in self._streams])

    def normal(self, *shape: int) -> Float[Tensor, "B ..."]:
        """Standard normal numbers, ``(B, *shape)`` float32."""
        return self._stack([stream.standard_normal(shape, dtype=np.float32) for stream in self._streams])

    def integers(self, high: int, *shape: int) -> Int[Tensor, "B ..."]:
        """Integers in [0, high), ``(B, *shape)`` int64."""
        return self._stack([stream.integers(high, size=shape) for stream in self._streams])

    def permutation(self, length: int) -> Int[Tensor, "B length"]:
        """One permutation of ``range(length)`` per sample, int64."""
        return self._stack([stream.permutation(length) for stream in self._streams])

    def _stack(self, rows: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(rows)).to(self.device)
