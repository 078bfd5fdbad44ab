"""Point operations with equal results on every backend: sampling, neighbors, interpolation.

The functions are loaded on first use, so that listing the backends does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spa3d.ops.dispatch import use
    from spa3d.ops.functional import ball_query, farthest_point_sample, group, interpolate, knn, three_nn

__all__ = ["ball_query", "farthest_point_sample", "group", "interpolate", "knn", "three_nn", "use"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'spa3d.ops' has no attribute {name!r}")
    module = import_module("spa3d.ops.dispatch" if name == "use" else "spa3d.ops.functional")
    globals()[name] = getattr(module, name)
    return globals()[name]
