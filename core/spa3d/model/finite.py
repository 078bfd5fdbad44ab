"""Weights that are no longer numbers."""

from __future__ import annotations

import torch
from torch import nn

from spa3d.errors import CheckpointError


def not_finite_weights(module: nn.Module) -> list[str]:
    """Names of the parameters with NaN or infinity; waits for the device once if there are none."""
    parameters = ((name, value.detach()) for name, value in module.named_parameters())
    named = [(name, value) for name, value in parameters if value.is_floating_point() and value.numel()]
    if not named:
        return []
    # NaN is passed on by the extremes, which need no memory of the weight's size as `isfinite` does.
    each = (torch.stack(value.aminmax()).isfinite().all() for _, value in named)
    finite = torch.stack([good.to(named[0][1].device) for good in each])
    if bool(finite.all()):
        return []
    return [name for (name, _), good in zip(named, finite.tolist(), strict=True) if not good]


def refuse_not_finite(module: nn.Module, where: str) -> None:
    """Raise `CheckpointError`, which begins with `where`, if a weight is NaN or infinite."""
    broken = not_finite_weights(module)
    if broken:
        raise CheckpointError(
            f"{where}: {len(broken)} of its weights hold NaN or infinity, such as {broken[0]}; give another model"
        )
