"""Order of the training records."""

from __future__ import annotations

from spa3d.runtime.rng import keyed_generator


def order(length: int, epoch: int, seed: int) -> list[int]:
    """Permutation of the record indices in `epoch`."""
    return [int(i) for i in keyed_generator("order", seed, epoch).permutation(length)]
