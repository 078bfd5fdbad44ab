"""A torchvision that does not load: what is defined in its place, and what is said about it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from spa3d.runtime import torchvision_guard
from spa3d.runtime.torchvision_guard import describe_problem, guard

DEFINED: list[str] = []


class Library:
    """Stands in for `torch.library.Library`, which may define an operator once only."""

    def __init__(self, *_: Any) -> None: ...

    def define(self, schema: str) -> None:
        DEFINED.append(schema.partition("(")[0])


@pytest.mark.parametrize("code", ["raise RuntimeError('operator torchvision::nms does not exist\\nmore')", "loads = 1"])
def test_guard_defines_operators_and_describes_the_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(torchvision_guard, "_kept", [])
    monkeypatch.setattr(torchvision_guard, "_errors", [])
    monkeypatch.setattr(torch.library, "Library", Library)
    DEFINED.clear()
    guard()
    guard()
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    if code.startswith("raise"):
        assert DEFINED == ["nms", "qnms"]
        text = f"does not load beside torch {torch.__version__} (operator torchvision::nms does not exist). spa3d and"
        assert text in describe_problem()
        assert "`pip install --force-reinstall torch torchvision --index-url" in describe_problem()
    else:
        assert (DEFINED, describe_problem()) == ([], "")
