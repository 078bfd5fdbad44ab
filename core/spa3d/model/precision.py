"""Data types of a model's weights and of its arithmetic, for the terminal and the passport."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from spa3d.model.modeling import Spa3dModel


def describe_precision(model: Spa3dModel, *, bf16: bool) -> dict[str, str]:
    """Describe the data types of arithmetic, trained weights and frozen weights.

    Args:
        model: a model with its trained parts set.
        bf16: whether its forwards run under bfloat16 autocast.

    """
    described = {
        "arithmetic": describe_arithmetic(bf16=bf16),
        "trained weights": _name_dtypes(weight for weight in model.parameters() if weight.requires_grad),
    }
    for name, part in model.parts.items():
        described[f"frozen {name}"] = _name_dtypes(weight for weight in part.parameters() if not weight.requires_grad)
    return {what: dtypes for what, dtypes in described.items() if dtypes}


def uses_bf16(dtype: str, device: torch.device) -> bool:
    """Whether ``--dtype`` means bfloat16 autocast; ``auto`` does on CUDA."""
    return dtype == "bfloat16" or (dtype == "auto" and device.type == "cuda")


def move_model(model: Spa3dModel, device: torch.device, *, bf16: bool) -> Spa3dModel:
    """Move a model to a device; for float32 arithmetic make it float32.

    Under bfloat16 autocast frozen weights may stay in half precision, as they are stored.
    """
    model.to(device)  # type: ignore[arg-type]  # transformers' wrapper hides the signature
    return model if bf16 else model.float()


def describe_arithmetic(*, bf16: bool) -> str:
    """Name the data type of the arithmetic of projector and LLM."""
    return "bfloat16 (autocast)" if bf16 else "float32"


def read_dtype(config: PreTrainedConfig) -> str:
    """Read the data type of the weights of a model from its configuration."""
    return str(config.dtype or "not stated").removeprefix("torch.")


def format_precision(precision: Mapping[str, str]) -> str:
    """Format data types: ``arithmetic float32, trained weights float32``."""
    return ", ".join(f"{what} {dtypes}" for what, dtypes in precision.items())


def _name_dtypes(weights: Iterable[Tensor]) -> str:
    return " and ".join(sorted({str(weight.dtype).removeprefix("torch.") for weight in weights}))
