"""Benchmarks: they can be imported, and their steps run on today's library."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"
MODULES = sorted(path.stem for path in FOLDER.glob("*.py"))


def module_named(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    return importlib.import_module(name)


@pytest.mark.parametrize("name", MODULES)
def test_benchmark_can_be_imported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module_named(name, monkeypatch).__doc__


def test_step_of_make_gpu_trains_adapters_on_a_bfloat16_llm(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = module_named("gpu_step", monkeypatch)
    model = steps.build_model(steps.TOY, "cpu")
    frozen = {weight.dtype for name, weight in model.get_decoder().named_parameters() if not weight.requires_grad}
    assert frozen == {torch.bfloat16}
    assert (
        steps.measure_batch("spa", model, steps.TOY, 2)["tokens"]
        == 2 * steps.measure_batch("sft", model, steps.TOY, 2)["tokens"]
    )
