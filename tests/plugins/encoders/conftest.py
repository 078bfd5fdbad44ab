"""Goldens: outputs of official code, with weights derived from parameter names."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spa3d import available, create, ops

FOLDER = Path(__file__).parents[2] / "golden"


@dataclass(frozen=True)
class Expected:
    """Outputs of the official code for one cloud."""

    arrays: Mapping[str, np.ndarray]

    @property
    def points(self) -> Tensor:
        """The input cloud, ``(1, N, C)``."""
        return torch.from_numpy(self.arrays["points"])[None]

    def check(self, name: str, result: Tensor, atol: float, rtol: float = 1e-4) -> None:
        """Compare ``(tokens, channels)`` or a vector with the stored channels or sums."""
        value = result.detach().numpy()
        forms = {name: (value, atol)}
        if value.ndim == 2:
            forms |= {f"{name}__sum_c": (value.sum(1), 30 * atol), f"{name}__sum_t": (value.sum(0), 30 * atol)}
            forms |= {f"{name}__c{step}": (value[:, ::step], atol) for step in (2, 4, 8, 16, 24, 32, 64)}
        stored = [key for key in forms if key in self.arrays]
        assert stored, f"nothing is stored of {name}"
        for key in stored:
            np.testing.assert_allclose(forms[key][0], self.arrays[key], rtol=rtol, atol=forms[key][1], err_msg=key)

    def check_indices(self, name: str, result: Tensor, *, ordered: bool = True) -> None:
        """Compare indices with the stored rows, possibly only the first ones; knn rows are sorted."""
        expected = self.arrays[name]
        rows = result.numpy()[: len(expected)]
        np.testing.assert_array_equal(rows if ordered else np.sort(rows, axis=-1), expected, err_msg=name)


@dataclass(frozen=True)
class Golden:
    """Goldens of one encoder: parameters in order, (name, shape, dtype), and three outputs.

    C, of 1024 points, is stored as it was made. Of A and B, of 8192 points and more, there are the first indices,
    sums over tokens and over channels, and the final vector. Of some encoders there are the parameters only.
    """

    parameters: list[tuple[str, list[int], str]]
    arrays: Mapping[str, np.ndarray]

    def weights(self) -> dict[str, Tensor]:
        """Weights used for the outputs."""
        state = {name: torch.from_numpy(_value(name, tuple(shape))) for name, shape, _ in self.parameters}
        assert _fingerprint(state) == int(self.arrays["weights_fingerprint"])
        return state

    def on(self, cloud: str) -> Expected:
        """The outputs for one of the clouds."""
        start = f"{cloud}."
        return Expected({key.removeprefix(start): self.arrays[key] for key in self.arrays if key.startswith(start)})


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """The goldens of the preset named by the test's indirect parameter."""
    arrays = FOLDER / f"{request.param}.npz"
    return Golden(parameters(request.param), np.load(arrays) if arrays.exists() else {})


def parameters(preset: str) -> list[tuple[str, list[int], str]]:
    """Names, shapes and types of the published weights behind a preset."""
    return [tuple(row) for row in json.loads((FOLDER / f"{preset}.keys.json").read_text(encoding="utf-8"))]


@pytest.fixture(params=[pytest.param("A", marks=pytest.mark.slow), pytest.param("B", marks=pytest.mark.slow), "C"])
def cloud(request: pytest.FixtureRequest) -> str:
    """Name of a golden cloud."""
    return str(request.param)


@pytest.fixture(params=available("ops"))
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each point-op backend that works on the CPU here, in use during the test."""
    chosen = create("ops", request.param)
    if chosen.devices and "cpu" not in chosen.devices:
        pytest.skip(f"{request.param} does not work on the CPU")
    with ops.use(chosen):
        yield request.param


def _value(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Make a tensor from the raw bits of PCG64, seeded by its name and scaled by its kind."""
    kind = name.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return np.zeros(shape, dtype=np.int64)
    bits = np.random.PCG64(zlib.crc32(f"spa-parity-1|{name}".encode())).random_raw(math.prod(shape))
    uniform = (np.asarray(bits, dtype=np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1
    unit = uniform * np.sqrt(3.0)
    match kind, len(shape):
        case "running_mean", _:
            values = 0.1 * unit
        case "running_var", _:
            values = 1 + 0.5 * uniform
        case ("weight", 1) | ("affine_alpha", _):
            values = 1 + 0.1 * unit
        case "affine_beta", _:
            values = 0.1 * unit
        case "bias", _:
            values = 0.05 * unit
        case "weight", dimensions:
            gain = 1.6 if dimensions == 4 else 1.0
            values = gain * unit / np.sqrt(math.prod(shape[1:]))
        case _:
            values = 0.5 * unit
    return values.reshape(shape).astype(np.float32)


def _fingerprint(state: Mapping[str, Tensor]) -> int:
    """CRC32 over names and float32 values in the order of the names."""
    code = 0
    for name in sorted(state):
        code = zlib.crc32(name.encode(), code)
        code = zlib.crc32(state[name].numpy().astype("<f4").tobytes(), code)
    return code
