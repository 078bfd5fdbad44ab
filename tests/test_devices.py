"""Device placement: every new tensor names its device, and mixed devices raise an error.

No GPU is needed: fake tensors have a device but no values, and operations on two devices raise an error.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from spa3d import available, create
from spa3d.contracts.objective import Need
from spa3d.inference.scoring import score
from spa3d.inference.views import ViewEncoder, built_in_views
from spa3d.runtime.rng import Draws
from spa3d.training.dataset import instructions
from spa3d.training.examples import sft_example, tokenize_example

ROOT = Path(__file__).parents[1]
MAKERS = {
    "zeros",
    "ones",
    "empty",
    "full",
    "rand",
    "randn",
    "randint",
    "randperm",
    "arange",
    "linspace",
    "eye",
    "tensor",
}
PARAMETER = "a parameter or buffer, which moves with its module"
HOST = "stays on the CPU on purpose"
ALLOWED = {
    "core/spa3d/model/processing.py:pad": f"{HOST}: a processor's batch is moved by its caller, as in transformers",
    "core/spa3d/ops/verification.py:_find_error": "drawn on the CPU to be the same everywhere, and moved",
    "core/spa3d/pipeline/checks.py:part_errors": f"{HOST}: parts are tried before they are moved",
    "core/spa3d/training/pretraining.py:__init__": PARAMETER,
    "plugins/spa3d_plugins/encoders/pointbert.py:__init__": PARAMETER,
    "plugins/spa3d_plugins/encoders/pointbert.py:_start": "drawn from the CPU generator, as PointLLM does, and moved",
    "plugins/spa3d_plugins/encoders/pointmlp.py:__init__": PARAMETER,
    "plugins/spa3d_plugins/encoders/pointwise.py:__init__": PARAMETER,
    "plugins/spa3d_plugins/noise/rotate.py:_axis": f"{HOST}: an axis of three numbers in float64; the matrix is moved",
    "plugins/spa3d_plugins/noise/rotate.py:_rotation": "moved to the axis in the same expression",
}
"""Functions that make a tensor without `device=`, and the reasons."""


def makers_without_a_device() -> Iterator[tuple[str, int]]:
    """Function and line of each call such as ``torch.zeros(3)`` in the product."""
    for path in sorted(path for folder in ("core", "plugins") for path in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            for call in ast.walk(function):
                if _makes_a_tensor(call) and not any(word.arg in ("device", None) for word in call.keywords):
                    yield f"{path.relative_to(ROOT).as_posix()}:{function.name}", call.lineno


def _makes_a_tensor(call: Any) -> bool:
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "torch"
        and call.func.attr in MAKERS
    )


def test_new_tensors_name_their_device() -> None:
    result = dict(makers_without_a_device())
    new = {name: line for name, line in result.items() if name not in ALLOWED}
    assert new == {}, "give device=, use new_* or *_like, or add the function and a reason to ALLOWED"
    assert sorted(ALLOWED.keys() - result.keys()) == [], "these make no such tensor any more; take them from ALLOWED"


ELSEWHERE = torch.device("meta")
"""The device of the fake tensors: torch without CUDA cannot index ``cuda`` tensors, not even fake ones."""


def fake_tensors() -> FakeTensorMode:
    """Context of fake tensors with shapes and devices; mixed devices are errors."""
    return FakeTensorMode(allow_non_fake_inputs=False, shape_env=ShapeEnv())


def move(module: torch.nn.Module) -> None:
    """Replace all parameters and buffers of `module` by fake tensors on `ELSEWHERE`."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                there = torch.empty(value.shape, dtype=value.dtype, device=ELSEWHERE)
                part._parameters[name] = torch.nn.Parameter(there, requires_grad=value.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device=ELSEWHERE)


def test_fake_tensors_of_two_devices_raise_an_error() -> None:
    with fake_tensors(), pytest.raises(RuntimeError, match="same device"):
        torch.empty(3, device=ELSEWHERE).gather(0, torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize("name", available("noise"))
def test_noise_stays_on_the_device_of_the_cloud(name: str) -> None:
    noise = create("noise", name, level=0.5)
    with fake_tensors():
        points = torch.empty(2, 1024, 6, device=ELSEWHERE)
        noised = noise.apply(points, Draws([(0, 0, "a", "noised"), (0, 0, "b", "noised")], ELSEWHERE))
        assert (noised.device, noised.shape) == (ELSEWHERE, points.shape)
        assert noise.measure_level(points, noised).device == ELSEWHERE


@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
@pytest.mark.parametrize("name", [name for name in available("encoder") if name.endswith("-tiny")])
def test_an_encoder_stays_on_the_device_of_its_points(name: str, training: bool) -> None:
    encoder = create("encoder", name).train(training)
    with fake_tensors():
        move(encoder)
        points = torch.empty(2, 256, encoder.channels, device=ELSEWHERE)
        assert encoder(points).device == ELSEWHERE
        assert encoder.pool(points).device == ELSEWHERE


def test_scoring_stays_on_the_device_of_the_model(toy: Any, toy_dataset: Any) -> None:
    model, processor, clouds = toy()
    model.set_trained("projector", "llm")
    model.language_model.config.use_cache = False  # an empty cache is made of real tensors
    text = tokenize_example(
        processor, sft_example(instructions(toy_dataset, 0)), [("chosen", "cloud"), ("chosen", "blind")]
    )
    batch = [text(record, 0) for record in toy_dataset.records("train")]
    needs = (Need("chosen", "clean"), Need("chosen", "noised"), Need("chosen", "blind"))
    with fake_tensors():
        move(model)
        noise = create("noise", "mask", level=0.5, patches=4, patch_size=8)
        # The measured level is read, but fake tensors have no values.
        noise.measure_level = lambda points, noised: np.zeros(len(points))
        scores = score(model, needs, batch, built_in_views(ViewEncoder(model, clouds), noise=noise)).scores
        for need in needs:
            assert scores[need.text, need.view].logp.device == ELSEWHERE
