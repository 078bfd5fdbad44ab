"""The order in which training goes through its records."""

from __future__ import annotations

from spa3d.runtime.rng import keyed_generator


def order(length: int, epoch: int, seed: int) -> list[int]:
    """The permutation that `epoch` goes through."""
    return [int(i) for i in keyed_generator("order", seed, epoch).permutation(length)]
