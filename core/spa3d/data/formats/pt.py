"""Reader of clouds in PyTorch files of tensors; nothing that a file holds is run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spa3d.data.formats.contract import Cloud, CloudFormat, Reading, require_utf8_name
from spa3d.data.formats.named_arrays import NamedArray, build_cloud
from spa3d.errors import DataError

_ONLY = "the file"
"""Name of a tensor that is saved without one."""


def _read(path: Path, reading: Reading) -> Cloud:
    require_utf8_name(path, reading.where)
    content = _load(path, reading.where)
    if isinstance(content, torch.Tensor):
        content = {_ONLY: content}
    if not isinstance(content, Mapping):
        hint = "save a tensor, or a dict of tensors, with torch.save"
        raise DataError(f"{reading.where}: it holds a {type(content).__name__}; {hint}.")
    arrays = {str(name): _describe(each, reading.where) for name, each in content.items() if _is_plain(each)}
    if not arrays:
        raise DataError(f"{reading.where}: no plain tensors in it; save a tensor, or a dict of tensors.")
    cloud = build_cloud(arrays, reading)
    rest = sorted(str(name) for name in content if str(name) not in arrays)
    return cloud.note(f"values that are no tensors are not used: {', '.join(rest[:10])}") if rest else cloud


FORMAT = CloudFormat(
    "PyTorch", (".pt", ".pth"), _read, "a tensor (N, 6), (N, 3), (6, N) or (3, N), or a dict of tensors by their names"
)


def _load(path: Path, where: str) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # about protocols of pickles that are refused anyway
            try:
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError:  # the format before PyTorch 1.6 cannot be mapped
                return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # broken input ends in any exception of the unpickler, of zip and of tensors
        reason = " ".join(str(error).split())
        if "weights_only" in reason or "Unsupported" in reason:
            text = "it holds more than tensors, or would run code, and is never loaded"
            raise DataError(f"{where}: {text}; save the tensors alone with torch.save.") from error
        text = "the file is damaged or no PyTorch file; save it again with torch.save"
        raise DataError(f"{where}: {text} ({type(error).__name__}: {reason[:200]}).") from error


def _is_plain(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_quantized


def _describe(tensor: torch.Tensor, where: str) -> NamedArray:
    stored = torch.float32 if tensor.dtype == torch.bfloat16 else tensor.dtype
    try:
        dtype = torch.empty(0, dtype=stored, device="cpu").numpy().dtype
    except TypeError as error:  # numpy has no such type
        raise DataError(f"{where}: a tensor of type {tensor.dtype}; save it as float32.") from error
    return NamedArray(tuple(tensor.shape), dtype, partial(_convert, tensor, where))


def _convert(tensor: torch.Tensor, where: str) -> np.ndarray:
    try:
        tensor = tensor.detach()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    except (RuntimeError, TypeError, ValueError) as error:
        raise DataError(f"{where}: a tensor cannot be read; save it again ({error}).") from error
