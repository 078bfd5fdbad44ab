"""Selection of a backend by device, and warnings about faster ones that do not work."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from spa3d import ops
from spa3d.config.catalog import catalog
from spa3d.errors import ConfigError, PluginError, RegistryError
from spa3d.ops.selection import SlowerBackend, backends_for, candidates, default_backend, find_available
from spa3d.registry.component import Component
from spa3d.registry.manifest_file import find_manifest
from spa3d.registry.markers import hookimpl
from spa3d.registry.registry import Registry, load_registry
from spa3d_plugins.ops.torch import TorchOps


class Elsewhere(TorchOps):
    """Works on no device that is here."""

    devices: ClassVar[tuple[str, ...]] = ("cuda",)


class Reversed(TorchOps):
    """Gives the neighbors in the wrong order."""

    def knn(self, query: Tensor, xyz: Tensor, k: int) -> Tensor:
        return super().knn(query, xyz, k).flip(-1)


class Stillborn(TorchOps):
    """Cannot be made."""

    def __init__(self) -> None:
        raise OSError(8, "Exec format error")


@hookimpl
def spa3d_components() -> list[Component]:
    """Backends as a stranger brings them."""
    return [
        Component("ops", "elsewhere", f"{__name__}:Elsewhere", "Another device's"),
        Component("ops", "stillborn", f"{__name__}:Stillborn", "Never comes up"),
    ]


OTHER_REGISTRY = """
version: 1
components:
  ops:
    mine: {{target: "{target}", summary: Another}}
    torch: {{target: "spa3d_plugins.ops.torch:TorchOps", summary: The reference}}
defaults:
  ops: {{cpu: [mine, torch]}}
"""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The shipped registry on a machine without a compiler."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    return load_registry(plugins=[__file__])


def test_auto_tries_the_list_of_the_device_and_the_reference_last() -> None:
    registry = load_registry()
    assert candidates(registry, "cpu") == ["cpp", "torch"]
    assert candidates(registry, "cuda") == ["triton", "torch"]
    assert candidates(registry, "mps") == ["torch"]


def test_without_a_compiler_the_reference_takes_over_and_says_so_once(registry: Registry) -> None:
    assert find_available(registry, "cpu") == "torch"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            (chosen,) = backends_for("auto", "cpu", registry)
    assert type(chosen).__name__ == "TorchOps"
    (warning,) = caught
    assert issubclass(warning.category, SlowerBackend)
    assert "done by torch" in str(warning.message)
    assert "needs one of $CXX, c++, g++, clang++ on the PATH" in str(warning.message)


def test_backend_warning_comes_from_the_first_worker_only(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr("torch.utils.data.get_worker_info", lambda: SimpleNamespace(id=1))
        assert type(backends_for("auto", "cpu", registry)[0]).__name__ == "TorchOps"
    monkeypatch.setattr("torch.utils.data.get_worker_info", lambda: SimpleNamespace(id=0))
    with pytest.warns(SlowerBackend):
        backends_for("auto", "cpu", registry)


def test_a_compiler_may_be_named_by_a_variable(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "mine"
    compiler.touch(mode=0o755)
    monkeypatch.setenv("CXX", f"{compiler} -pipe")
    assert find_available(registry, "cpu") == "cpp"


@pytest.mark.parametrize("named", ["gone -pipe", '"c++'])
def test_invalid_compiler_variable_is_an_error(
    named: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c++").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_available(registry, "cpu") == "cpp"
    monkeypatch.setenv("CXX", named)
    assert find_available(registry, "cpu") == "torch"
    with pytest.raises(PluginError, match=rf"needs \$CXX, and '{re.escape(named)}' is not there; install one"):
        backends_for("cpp", "cpu", registry)


def test_failing_compiler_is_a_warning_with_auto_and_an_error_on_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "broken"
    compiler.write_text("#!/bin/sh\necho no such header >&2\nexit 3\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.warns(SlowerBackend, match=r"the C\+\+ compiler failed with code 3\.[^\n]*$"):
        backends_for("auto", "cpu", load_registry())
    with pytest.raises(PluginError, match="no such header"):
        backends_for("cpp", "cpu", load_registry())
    tried = {entry.name: entry for entry in catalog(load_registry(plugins=[__file__]), ("ops",), check=True)}
    assert tried["cpp"].status.word == "broken"
    assert not tried["cpp"].default
    assert tried["torch"].default
    assert "does not come up: OSError: [Errno 8] Exec format error" in tried["stillborn"].status.cause
    assert torch.cuda.is_available() or str(tried["elsewhere"].status) == "imports: it is for cuda, not here"


def test_backends_for_takes_the_requested_backend_and_auto_for_the_cpu(registry: Registry) -> None:
    assert [type(each).__name__ for each in backends_for("torch", "cuda", registry)] == ["TorchOps"]
    with pytest.warns(SlowerBackend):
        chosen = backends_for("elsewhere", "cuda", registry)
    assert [type(each).__name__ for each in chosen] == ["Elsewhere", "TorchOps"]


def test_a_backend_of_another_device_is_refused(registry: Registry) -> None:
    message = r"--ops elsewhere: it works on cuda and this run is on cpu; take --ops auto or one of: cpp, torch"
    with pytest.raises(ConfigError, match=message):
        backends_for("elsewhere", "cpu", registry)


def test_backends_for_names_a_missing_backend(registry: Registry) -> None:
    with pytest.raises(PluginError, match=r"needs one of .* on the PATH; install one, or choose another ops"):
        backends_for("cpp", "cpu", registry)
    with pytest.raises(RegistryError, match="no ops 'cuda'"):
        backends_for("cuda", "cpu", registry)
    with pytest.raises(PluginError, match=r"ops 'stillborn' \(.*\) does not come up: OSError"):
        backends_for("stillborn", "cpu", registry)


def test_default_backend_is_made_once_per_registry_file_and_device(tmp_path: Path) -> None:
    chosen = default_backend("mps")
    assert type(chosen) is TorchOps
    assert default_backend("mps") is chosen
    assert default_backend("elsewhere") is not chosen
    other = tmp_path / "registry.yaml"
    other.write_text(find_manifest().read_text(encoding="utf-8"), encoding="utf-8")
    assert default_backend("mps", other) is not chosen
    assert default_backend("mps", other) is default_backend("mps", other)


def test_default_backend_is_the_one_of_the_registry_file(tmp_path: Path) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text(OTHER_REGISTRY.format(target=f"{__name__}:Reversed"), encoding="utf-8")
    assert type(default_backend("cpu", path)).__name__ == "Reversed"
    assert type(default_backend("cuda", path)) is TorchOps


def test_a_call_outside_of_use_loads_no_plugin() -> None:
    code = """
import torch
from spa3d import ops
from spa3d.registry import plugins

def refuse(*_, **__):
    raise AssertionError("a plugin is loaded")

plugins.load_plugins = refuse
plugins.entry_points = refuse
import spa3d.registry.registry as registry
registry.load_plugins = refuse
assert ops.knn(torch.rand(1, 4, 3), torch.rand(1, 8, 3), 2).shape == (1, 4, 2)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_in_use_the_chosen_backend_decides() -> None:
    xyz = torch.rand(1, 8, 3, generator=torch.Generator().manual_seed(0))
    expected = ops.knn(xyz, xyz, 4)
    with ops.use(Reversed()):
        assert torch.equal(ops.knn(xyz, xyz, 4), expected.flip(-1))
    assert torch.equal(ops.knn(xyz, xyz, 4), expected)


def test_selection_imports_no_torch() -> None:
    code = "import sys, spa3d.ops, spa3d.ops.selection; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
