"""Workaround for a torchvision without its compiled part, for timm and transformers.

The import of a CUDA build of torchvision fails beside a CPU torch with ``operator torchvision::nms does not exist``,
and so do the imports of timm, transformers' Trainer, AutoProcessor and peft. None of them calls these operators here,
so defining their schemas is enough. If torchvision loads or is not installed, nothing is changed.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import version

import torch

from spa3d.errors import first_line

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_kept: list[torch.library.Library] = []
"""The schemas live as long as their library object does."""
_errors: list[str] = []
"""Why torchvision did not load."""


def guard() -> None:
    """Define the missing schemas once, before the first import of torchvision."""
    if _kept or "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        import torchvision  # noqa: F401
    except (RuntimeError, ImportError, OSError) as error:
        _errors.append(first_line(error))
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(operator + _SCHEMA)
        _kept.append(library)


def describe_problem() -> str:
    """Describe why torchvision does not load, and what to do; empty if it loads."""
    if not _errors:
        return ""
    return (
        f"torchvision {version('torchvision')} does not load beside torch {torch.__version__} ({_errors[0]}). spa3d "
        "and torchrun work all the same. `accelerate launch` does not, nor do transformers and peft where they are "
        "imported before spa3d.auto. To mend it, install both from one index, such as "
        "`pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cpu`."
    )


guard()
