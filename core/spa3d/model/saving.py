"""Writing a 3D LLM to a folder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor


def save_model(model: Spa3dModel, processor: Spa3dProcessor, folder: Path, *, dtype: torch.dtype | None = None) -> None:
    """Write a 3D LLM for ``from_pretrained`` and ``spa3d.load``: weights, config, processor.

    Args:
        model: the 3D LLM; it is not changed.
        processor: its processor.
        folder: where to write.
        dtype: data type of all saved parameters; None: each as it is. Buffers (statistics) are saved as they are.

    """
    model.save_pretrained(folder, state_dict=None if dtype is None else _cast(model, dtype))
    if dtype is not None:  # transformers writes the data type of the model in memory
        config = type(model.config).from_pretrained(folder)
        config.dtype = config.text_config.dtype = dtype
        config.save_pretrained(folder)
    processor.save_pretrained(folder)


def count_overflows(model: Spa3dModel, dtype: torch.dtype) -> int:
    """Count finite parameters that `dtype` cannot hold."""
    largest = torch.finfo(dtype).max
    return sum(
        int((weight.isfinite() & (weight.abs() > largest)).sum())
        for weight in model.parameters()
        if torch.finfo(weight.dtype).max > largest
    )


def _cast(model: Spa3dModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """The state of `model` with parameters of `dtype`; tied ones stay one tensor."""
    cast = {
        id(weight): weight if weight.dtype == dtype else weight.detach().to("cpu", dtype)
        for weight in model.parameters()
    }
    return {name: cast.get(id(value), value) for name, value in model.state_dict(keep_vars=True).items()}
