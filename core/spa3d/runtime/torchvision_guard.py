"""Workaround for a torchvision without its compiled part, for timm and transformers.

The import of a CUDA build of torchvision fails beside a CPU torch with ``operator torchvision::nms does not exist``,
and so do the imports of timm, transformers' Trainer, AutoProcessor and peft. None of them calls these operators here,
so defining their schemas is enough. If torchvision loads or is not installed, nothing is changed.
"""

from __future__ import annotations

import importlib.util
import sys

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_kept: list[torch.library.Library] = []
"""The schemas live as long as their library object does."""


def guard() -> None:
    """Define the missing schemas once, before the first import of torchvision."""
    if _kept or "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        import torchvision  # noqa: F401
    except (RuntimeError, ImportError, OSError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(operator + _SCHEMA)
        _kept.append(library)


guard()
