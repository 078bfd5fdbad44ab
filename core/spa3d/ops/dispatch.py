"""Chooses the backend of a device: the one of `use`, else the fastest working shipped one."""

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
"""Default by type of device; cached, because reading the environment would add 7 µs to each call."""


@contextmanager
def use(*backends: Ops) -> Iterator[None]:
    """Use these backends for point operations inside the ``with`` block, each on its devices."""
    token = _active.set(backends)
    try:
        yield
    finally:
        _active.reset(token)


def backend_for(device: torch.device) -> Ops:
    """Backend of the innermost `use` for the device, or else the default of registry.yaml."""
    kind = device.type
    for backend in _active.get():
        if takes(backend, kind):
            return backend
    return default_for(kind)
