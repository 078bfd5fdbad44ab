"""Checks of a backend against the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spa3d.errors import PluginError
from spa3d.registry.registry import Registry

if TYPE_CHECKING:  # it brings torch, and which backends there are can be told without
    from spa3d.contracts.ops import Ops
from spa3d.ops.selection import REFERENCE, built, takes


def works_on(backend: Ops, registry: Registry) -> str:
    """The types of device here on which `backend` gives the answers of the reference, as ``cpu, cuda``; may be none.

    Raises:
        PluginError: on one of them it fails, or gives others.

    """
    import torch

    reference = built(registry, REFERENCE)
    there = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    mine = [device for device in there if takes(backend, device)]
    for device in mine:
        fault = _fault_of(backend, reference, device)
        if fault:
            raise PluginError(f"on {device}: {fault}")
    return ", ".join(mine)


def _fault_of(backend: Ops, reference: Ops, device: str) -> str:
    """What is wrong with the answers of `backend` for a small cloud in which some points coincide; else empty."""
    import torch

    from spa3d import ops

    xyz = torch.rand(2, 500, 3, generator=torch.Generator().manual_seed(0)).to(device)
    xyz[:, 400:] = xyz[:, :100]
    questions: dict[str, Callable[[], torch.Tensor]] = {
        "farthest point sampling": lambda: ops.farthest_point_sample(xyz, 50),
        "kNN": lambda: ops.knn(xyz[:, :50], xyz, 16),
        "ball query": lambda: ops.ball_query(xyz[:, :50], xyz, 0.2, 16, closed=True),
    }
    for name, ask in questions.items():
        with ops.use(reference):
            wanted = ask()
        try:
            with ops.use(backend):
                found = ask()
        except Exception as fault:
            return f"{name} fails: {type(fault).__name__}: {fault}"
        if not torch.equal(wanted, found):
            return f"{name} differs from the reference"
    return ""
