"""Source files behind a result: imports at the top of a module and inside functions."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from spa3d.artifacts.sources import source_files

MODULES = {
    "__init__.py": "",
    "top.py": "from sample_sources.above import VALUE\nfrom sample_sources.constants import SIZES\nimport json\n",
    "constants.py": "SIZES = (1, 2)\n",
    "above.py": "VALUE = 1\n\ndef function():\n    from sample_sources import inside\n    return inside.VALUE\n",
    "inside.py": "def deeper():\n    from . import relative\n",
    "relative.py": "",
    "apart.py": "",
}


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    folder = tmp_path / "sample_sources"
    folder.mkdir()
    for name, text in MODULES.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("sample_sources.top")
    for name in [name for name in sys.modules if name.startswith("sample_sources")]:
        del sys.modules[name]


def test_source_files_follow_imports_inside_functions(top: ModuleType) -> None:
    names = {path.name for path in source_files(top) if path.parent.name == "sample_sources"}
    assert {"top.py", "above.py", "inside.py", "relative.py"} <= names
    assert "apart.py" not in names


def test_source_files_follow_constants(top: ModuleType) -> None:
    """A module with nothing but numbers decides a result, too."""
    assert "constants.py" in {path.name for path in source_files(top)}
    names = {path.name for path in source_files(importlib.import_module("spa3d_plugins.datasets.shapes"))}
    assert {"categories.py", "furniture.py", "vehicles.py", "outdoors.py", "textures.py"} <= names


def test_source_files_stay_in_their_packages(top: ModuleType) -> None:
    assert not any("json" in path.parts or path.name == "decoder.py" for path in source_files(top))


def test_source_files_of_a_contract_reach_what_it_is_built_on() -> None:
    from spa3d.contracts import noise

    names = {path.name for path in source_files(noise)}
    assert {"noise.py", "config.py", "rng.py"} <= names
