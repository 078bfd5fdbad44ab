"""Verification of a backend against the reference: right, wrong and failing ones."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from spa3d.errors import PluginError
from spa3d.ops.verification import verify_backend
from spa3d.registry.registry import load_registry
from spa3d_plugins.ops.torch import TorchOps


class Elsewhere(TorchOps):
    """Works on no device that is here."""

    devices: ClassVar[tuple[str, ...]] = ("cuda",)


class Wrong(TorchOps):
    """Gives the neighbors in the wrong order."""

    def knn(self, query: Tensor, xyz: Tensor, k: int) -> Tensor:
        return super().knn(query, xyz, k).flip(-1)


class Failing(TorchOps):
    """Does not work."""

    def fps(self, xyz: Tensor, count: int, start: Tensor) -> Tensor:
        raise RuntimeError("no kernel image")


def test_verify_backend_finds_wrong_answers_and_failures() -> None:
    registry = load_registry()
    assert verify_backend(TorchOps(), registry).startswith("cpu")
    assert torch.cuda.is_available() or verify_backend(Elsewhere(), registry) == ""
    with pytest.raises(PluginError, match="on cpu: kNN differs from the reference"):
        verify_backend(Wrong(), registry)
    with pytest.raises(PluginError, match="on cpu: farthest point sampling fails: RuntimeError: no kernel image"):
        verify_backend(Failing(), registry)
