"""A saved model has the data type that was asked for, and comes back with its values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from spa3d.checkpoints.load import read
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.saving import count_overflows, save_model

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def load_back(toy: Any, folder: Path) -> Any:
    fresh, _, _ = toy(seed=1)
    return read(folder, Spa3dConfig.from_pretrained(folder), fresh.encoder, fresh.projector)[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tied", [False, True])
def test_save_model_casts_every_weight(toy: Any, tmp_path: Path, dtype: torch.dtype, tied: bool) -> None:
    model, processor, _ = toy()
    model.config.text_config.tie_word_embeddings = tied
    model.language_model.tie_weights()
    model.language_model.bfloat16()  # as a frozen LLM may be
    before = {name: value.clone() for name, value in model.state_dict().items()}
    save_model(model, processor, tmp_path, dtype=dtype)
    saved, weights = load_file(tmp_path / "model.safetensors"), dict(model.named_parameters())
    assert set(weights) <= set(saved)
    assert all(saved[name].dtype == dtype for name in weights)
    assert saved["encoder.mix.1.running_mean"].dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    loaded = load_back(toy, tmp_path)
    assert loaded.dtype == dtype
    assert {weight.dtype for weight in loaded.encoder.parameters()} == {torch.float32}
    assert all(torch.equal(value.to(dtype), weights[name].to(dtype)) for name, value in loaded.named_parameters())


def test_save_model_without_a_dtype_keeps_each_one(toy: Any, tmp_path: Path) -> None:
    model, processor, _ = toy()
    model.language_model.bfloat16()
    save_model(model, processor, tmp_path)
    loaded = load_back(toy, tmp_path)
    for name, weight in model.named_parameters():
        assert torch.equal(loaded.get_parameter(name), weight)
        assert loaded.get_parameter(name).dtype == weight.dtype


def test_count_overflows_counts_what_float16_cannot_hold(toy: Any) -> None:
    model, _, _ = toy()
    assert count_overflows(model, torch.float16) == 0
    with torch.no_grad():
        model.projector.layer.bias[:3] = torch.tensor([7e4, -1e9, float("inf")])
    assert count_overflows(model, torch.float16) == 2
    assert count_overflows(model, torch.bfloat16) == 0
