"""Checks of values that components return: tensors and counts."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor

NOT_FINITE = "expected finite numbers, got NaN or infinity"


def tensor_misfit(
    value: object, shape: Sequence[int], *, dtype: torch.dtype | None = None, device: torch.device | None = None
) -> str:
    """Describe how `value` differs from a tensor of floats of `shape`; empty if it does not.

    Args:
        value: what a component returned.
        shape: the expected shape.
        dtype: the expected type of the numbers; None: any floating-point type.
        device: the expected device; None: any.

    """
    if not isinstance(value, Tensor):
        return f"expected a tensor, got {type(value).__name__}"
    if tuple(value.shape) != tuple(shape):
        return f"expected an output of shape {tuple(shape)}, got {tuple(value.shape)}"
    if value.dtype != dtype and (dtype is not None or not value.is_floating_point()):
        return f"expected {dtype or 'floating-point'} numbers, got {value.dtype}"
    if device is not None and value.device != device:
        return f"expected an output on the device {device}, got one on {value.device}"
    return ""


def not_finite(*values: Tensor) -> list[int]:
    """Rows in which any of `values` ``(B, ...)`` has NaN or infinity.

    Waits for the device once if there are none.
    """
    finite = torch.stack([value.isfinite().reshape(len(value), -1).all(dim=1) for value in values]).all(dim=0)
    return [] if bool(finite.all()) else (~finite).nonzero().flatten().tolist()


def count_misfit(what: str, value: object) -> str:
    """Describe why `value` is no count from 1; empty if it is one. `what` names it."""
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0:
        return ""
    return f"{what} is {value!r}; it must be a whole number above 0"
