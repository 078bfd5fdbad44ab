"""The distribution: contents of the wheel, version, license and pinned dependencies."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PINNED = {
    Requirement(line).name.lower(): Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_contains_exactly_the_two_packages(wheel: zipfile.ZipFile) -> None:
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = [path for path in (*(ROOT / "core").rglob("*"), *(ROOT / "plugins").rglob("*")) if path.is_file()]
    expected = {"/".join(path.relative_to(ROOT).parts[1:]) for path in sources if path.suffix != ".pyc"}
    assert packed == expected | {"spa3d/registry.yaml"}
    assert {"spa3d/py.typed", "spa3d_plugins/py.typed"} <= packed
    assert {"spa3d/rendering/page.css", "spa3d/report/page.js", "spa3d/comparison/page.css"} <= packed
    assert wheel.read("spa3d/registry.yaml") == (ROOT / "registry.yaml").read_bytes()


def test_wheel_contains_command_and_license(wheel: zipfile.ZipFile, project: dict[str, Any]) -> None:
    (info,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert "spa3d = spa3d.__main__:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert b"Apache License" in wheel.read(f"{info}/licenses/LICENSE")
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert (metadata["Name"], metadata["Version"], metadata["License-Expression"]) == (
        "spa3d",
        project["version"],
        "Apache-2.0",
    )


def test_changelog_starts_with_this_version(project: dict[str, Any]) -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == project["version"]


def test_every_dependency_is_pinned_within_its_range(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"], *extras["dev"], *extras["browser"]]
    for requirement in map(Requirement, requirements):
        if requirement.name == "triton":  # each release of torch for GPUs requires its own version
            continue
        assert requirement.name.lower() in PINNED, f"constraints.txt does not pin {requirement.name}"
        (pin,) = PINNED[requirement.name.lower()].specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version), f"constraints.txt pins {requirement.name} out of its range"
