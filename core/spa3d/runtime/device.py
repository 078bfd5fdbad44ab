"""The device to run on."""

from __future__ import annotations

import gc

import torch

from spa3d.errors import ConfigError
from spa3d.runtime import distributed


def choose_device(name: str) -> torch.device:
    """Choose the device; ``auto`` takes CUDA, then MPS, then the CPU.

    Under a launcher each process takes the GPU of its local rank, for ``auto`` and for ``cuda``.
    """
    there = ["cpu"]
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        there.append("mps")
    local_rank = distributed.local_rank()
    if name in ("auto", "cuda") and "cuda" in there and local_rank is not None:
        return torch.device("cuda", local_rank)
    if name == "auto":
        return torch.device("cuda" if "cuda" in there else "mps" if "mps" in there else "cpu")
    if name not in there:
        raise ConfigError(f"--device {name}: not on this machine; there is: auto, {', '.join(there)}")
    return torch.device(name)


def free_memory() -> None:
    """Free the memory of models that are no longer used, also on the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
