"""What is said of data types is measured on the weights."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig

from spa3d.model.precision import describe_precision, format_precision, read_dtype


def test_describe_precision_measures_weights_by_part(toy: Any) -> None:
    model, _, _ = toy()
    model.language_model.bfloat16()
    model.set_trained("projector")
    precision = describe_precision(model, bf16=True)
    assert format_precision(precision) == (
        "arithmetic bfloat16 (autocast), trained weights float32, frozen encoder float32, frozen llm bfloat16"
    )
    model.set_trained("projector", "embeddings")
    assert describe_precision(model.float(), bf16=False)["arithmetic"] == "float32"


def test_read_dtype_of_a_configuration() -> None:
    assert read_dtype(LlamaConfig(dtype="bfloat16")) == "bfloat16"
    assert read_dtype(LlamaConfig(dtype=torch.float16)) == "float16"
    assert read_dtype(LlamaConfig()) == "not stated"
