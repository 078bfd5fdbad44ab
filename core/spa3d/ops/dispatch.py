"""The backend that works on a tensor: the one chosen by the caller, else the fastest there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from spa3d.contracts.ops import Ops
from spa3d.ops import selection

_chosen: ContextVar[Sequence[Ops]] = ContextVar("spa3d.ops.backends", default=())


@contextmanager
def use(*chosen: Ops) -> Iterator[None]:
    """Let these backends do the point operations inside the ``with`` block, each on the devices it takes."""
    token = _chosen.set(chosen)
    try:
        yield
    finally:
        _chosen.reset(token)


def backend_for(device: torch.device) -> Ops:
    """What this context chose for the device, else the fastest there is."""
    for chosen in _chosen.get():
        if selection.takes(chosen, device.type):
            return chosen
    return selection.automatic(device.type)
