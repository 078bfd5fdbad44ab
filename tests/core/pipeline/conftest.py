"""Open runs of the `smoke` preset: components are built, nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from spa3d.config.resolve import resolve
from spa3d.pipeline.open_run import open_run
from spa3d.pipeline.run import Run
from spa3d.registry.registry import load_registry

SMOKE = {"preset": "smoke", "device": "cpu"}
OpenSmoke = Callable[..., Run]


@pytest.fixture(autouse=True)
def bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace of a test, with what ships and no other plugin."""
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)
    return tmp_path / "bases"


@pytest.fixture(scope="session")
def open_smoke() -> OpenSmoke:
    """Open a run of the smoke world with other settings."""

    def open_settings(settings: Mapping[str, Any] | None = None, *, output: Path = Path("unused")) -> Run:
        return open_run(resolve(SMOKE, settings or {}), load_registry(), output=output)

    return open_settings
