"""What made a result: hashes of weights and data, versions, seeds, revision. Compared before anything is continued."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from spa3d.artifacts.workspace import bases_folder
from spa3d.runtime.atomic_files import write_whole


def digest(value: Any) -> str:
    """Short hash of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def hash_weights(state: Mapping[str, torch.Tensor]) -> str:
    """Hash of names, shapes and contents of a state dict, whatever device it is on."""
    sha = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        sha.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:16]


def hash_sources(paths: Iterable[Path]) -> str:
    """Hash of the contents of source files, in the order of their names."""
    sha = hashlib.sha256()
    for path in sorted(set(paths)):
        sha.update(path.name.encode() + path.read_bytes())
    return sha.hexdigest()[:16]


def hash_folder(folder: Path) -> str:
    """Hash of the contents of a saved model; that of a file is kept by path, size and time, for the next run."""
    paths = sorted((*folder.glob("*.json"), *folder.glob("*.safetensors")))
    return digest([(path.name, _hash_file(path)) for path in paths])


def hash_files(paths: Sequence[Path]) -> str:
    """Hash of the contents of files, whatever they are called; kept as `hash_folder` keeps it."""
    return digest([_hash_file(path) for path in paths])


def _hash_file(path: Path) -> str:
    place = path.stat()
    known = bases_folder() / ".hashes" / digest([str(path.resolve()), place.st_size, place.st_mtime_ns])
    if known.exists():
        return known.read_text(encoding="utf-8")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    with suppress(OSError):  # what cannot be kept is found out again
        write_whole(known, found)
    return found
