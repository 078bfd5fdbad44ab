"""Verification of a backend against the reference, on every available device."""

from __future__ import annotations

from collections.abc import Callable

import torch

from spa3d.contracts.ops import Ops
from spa3d.errors import PluginError
from spa3d.ops.dispatch import use
from spa3d.ops.functional import ball_query, farthest_point_sample, knn
from spa3d.ops.selection import REFERENCE, create_backend, takes
from spa3d.registry.registry import Registry


def verify_backend(backend: Ops, registry: Registry) -> str:
    """Device types on which `backend` agrees with the reference: ``cpu, cuda``, or empty.

    Raises:
        PluginError: on one of its devices it fails or gives other results.

    """
    reference = create_backend(registry, REFERENCE)
    present = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    devices = [device for device in present if takes(backend, device)]
    for device in devices:
        error = _find_error(backend, reference, device)
        if error:
            raise PluginError(f"on {device}: {error}")
    return ", ".join(devices)


def _find_error(backend: Ops, reference: Ops, device: str) -> str:
    """Find the first wrong result of `backend` for a small cloud with equal points; else empty."""
    xyz = torch.rand(2, 500, 3, generator=torch.Generator().manual_seed(0)).to(device)
    xyz[:, 400:] = xyz[:, :100]
    operations: dict[str, Callable[[], torch.Tensor]] = {
        "farthest point sampling": lambda: farthest_point_sample(xyz, 50),
        "kNN": lambda: knn(xyz[:, :50], xyz, 16),
        "ball query": lambda: ball_query(xyz[:, :50], xyz, 0.2, 16, closed=True),
    }
    for name, operation in operations.items():
        with use(reference):
            expected = operation()
        try:
            with use(backend):
                actual = operation()
        except Exception as error:
            return f"{name} fails: {type(error).__name__}: {error}"
        if not torch.equal(expected, actual):
            return f"{name} differs from the reference"
    return ""
