"""A good cloud, and its reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from spa3d.data.formats.contract import Cloud


def make_table(count: int = 6000, seed: int = 0) -> Cloud:
    """A table of 1.2 by 0.75 by 0.8 meters on four legs, y up, with a colored top."""
    draws = np.random.default_rng(seed)
    top, legs = count * 6 // 10, count - count * 6 // 10
    slab = draws.random((top, 3)) * (1.2, 0.04, 0.8) + (-0.6, 0.71, -0.4)
    angle, which = draws.random(legs) * 2 * np.pi, draws.integers(4, size=legs)
    corner = np.array([(-0.5, -0.3), (0.5, -0.3), (-0.5, 0.3), (0.5, 0.3)])[which]
    leg = np.stack([corner[:, 0] + 0.03 * np.cos(angle), draws.random(legs) * 0.71, corner[:, 1] + 0.03 * np.sin(angle)])
    colors = np.concatenate([draws.random((top, 3)), np.full((legs, 3), 0.3)])
    order = draws.permutation(count)
    return Cloud(
        np.concatenate([slab, leg.T])[order], colors[order].astype(np.float32), source="table.npy",
        precision=np.dtype(np.float32),
    )  # fmt: skip


@pytest.fixture
def table() -> Cloud:
    """A good cloud."""
    return make_table()


@pytest.fixture
def change(table: Cloud) -> Callable[..., Cloud]:
    """Make a copy of the good cloud with other points or colors; functions of the old ones are called."""

    def make(**values: object) -> Cloud:
        return replace(table, **{name: value(getattr(table, name)) if callable(value) else value
                                 for name, value in values.items()})  # fmt: skip

    return make
