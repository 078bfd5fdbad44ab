"""Hashes of values, weights and files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch


def digest(value: Any) -> str:
    """Short hash of a JSON value; other objects count by their `str`."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def hash_weights(state: Mapping[str, torch.Tensor]) -> str:
    """Hash of names, shapes, dtypes and contents of a state dict, on any device."""
    sha = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        sha.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:16]


def hash_sources(paths: Iterable[Path]) -> str:
    """Hash of the contents of source files, in the order of their paths."""
    sha = hashlib.sha256()
    for path in sorted(set(paths)):
        sha.update(path.name.encode() + path.read_bytes())
    return sha.hexdigest()[:16]
