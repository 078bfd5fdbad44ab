"""The backend of a tensor's device: the one chosen by the caller, else the fastest that ships and works here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch

from spa3d.contracts.ops import Ops
from spa3d.ops.selection import default_backend, takes

_active: ContextVar[Sequence[Ops]] = ContextVar("spa3d.ops.backends", default=())
default_for = cache(default_backend)
"""The default by type of device, kept here because a look at the environment would cost a call 7 µs."""


@contextmanager
def use(*backends: Ops) -> Iterator[None]:
    """Let these backends do the point operations inside the ``with`` block, each on the devices it takes."""
    token = _active.set(backends)
    try:
        yield
    finally:
        _active.reset(token)


def backend_for(device: torch.device) -> Ops:
    """The backend of the innermost `use` that takes the device, else the default of registry.yaml."""
    kind = device.type
    for backend in _active.get():
        if takes(backend, kind):
            return backend
    return default_for(kind)
