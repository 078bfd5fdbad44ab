"""Third-party plugins: installed with pip, found through PYTHONPATH, listed and run by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import spa3d
import spa3d_plugins
from spa3d.cli import main

ROOT = Path(__file__).parents[1]
PACKAGES = ("good", "broken", "clash")
SHORT = (
    "--preset smoke --benchmark choice --device cpu --base.encoder.steps 1 --base.llm.steps 1 --base.align.steps 1 "
    "--base.instruct.steps 1 --train.steps 2 --evaluate.limit 4 --encoder slabs --encoder.width 16 --noise jitter"
)
OBJECTIVE = """
from spa3d import Component, Need, Objective, Term, hookimpl

class Blindly(Objective):
    needs = (Need(view="clean"), Need(view="blind", grad=False))

    def terms(self, scores):
        gain = scores["chosen", "clean"].logp - scores["chosen", "blind"].logp
        return [Term("gain", -gain, "sequence")]

@hookimpl
def spa3d_components():
    yield Component("objective", "blindly", "my_file:Blindly", "The cloud should be worth something")
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder into which pip installed the three sample packages."""
    folder = tmp_path_factory.mktemp("site")
    options = "--no-deps --no-build-isolation --no-index --disable-pip-version-check --quiet"
    sources = [str(ROOT / "tests" / "sample_plugins" / name) for name in PACKAGES]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options.split(), "--target", str(folder), *sources], check=True
    )
    return folder


def tool(name: str, *argv: str, site: Path, plugins: str | None, cwd: Path, code: int = 0) -> str:
    """Run tools/NAME with the packages on PYTHONPATH; return its output."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SPA3D_") and key != "COLUMNS"}
    homes = [str(Path(package.__path__[0]).parent) for package in (spa3d, spa3d_plugins)]
    path = os.pathsep.join([str(site), *homes])
    more = {"PYTHONPATH": path, "SPA3D_BASES": str(site / "bases"), "OMP_NUM_THREADS": "1"}
    if plugins is not None:
        more["SPA3D_PLUGINS"] = plugins
    command = [sys.executable, str(ROOT / "tools" / name), *argv]
    done = subprocess.run(command, env={**kept, **more}, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


def call_run(
    *argv: str, site: Path, plugins: str, cwd: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Exit code and output of the same in this process, which has its imports done."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("SPA3D_PLUGINS", plugins)
    monkeypatch.setenv("SPA3D_BASES", str(site / "bases"))
    monkeypatch.chdir(cwd)
    capsys.readouterr()
    code = main(["run", *argv])
    return code, "".join(capsys.readouterr())


def test_third_party_rows_are_listed_with_distribution_and_version(site: Path, tmp_path: Path) -> None:
    document = json.loads(tool("list", "--json", site=site, plugins="good,broken", cwd=tmp_path))
    entries = {(entry["kind"], entry["name"]): entry for entry in document["entries"]}
    keys = ("encoder slabs", "encoder slabs-narrow", "noise jitter", "noise mask-half", "objective margin")
    for key in map(tuple, map(str.split, keys)):
        assert entries[key]["origin"] == "spa3d-good 0.3.1"
        assert entries[key]["status"] == "ready"
    assert document["slow"] == []
    (broken,) = document["broken"]
    assert (broken["distribution"], broken["version"]) == ("spa3d-broken", "1.0.0")
    assert "a_package_nobody_has" in broken["cause"]


def test_broken_plugin_fails_the_check_but_no_run(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = tool("list", "noise", "--check", site=site, plugins="good,broken", cwd=tmp_path, code=1)
    assert "broken plugin: broken (spa3d-broken 1.0.0): ModuleNotFoundError" in message
    here = {"site": site, "plugins": "good,broken", "cwd": tmp_path, "monkeypatch": monkeypatch, "capsys": capsys}
    code, text = call_run("--preset", "smoke", "--noise", "jitter", "--dry-run", **here)
    assert code == 0
    assert "jitter" in text
    code, message = call_run("--noise", "thunder", **here)
    assert code == 2
    assert "no noise 'thunder'" in message
    assert "spa3d-broken 1.0.0" in message


def test_name_clash_stops_list_and_run(site: Path, tmp_path: Path) -> None:
    for name, argv in (("list", ["noise"]), ("run.py", ["--dry-run"])):
        message = tool(name, *argv, site=site, plugins=None, cwd=tmp_path, code=2)
        assert "noise 'mask' is brought by spa3d" in message
        assert "spa3d-clash 2.1.0 (entry point clash)" in message


def test_packaged_components_and_a_plugin_file_run(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool(
        "run.py",
        *SHORT.split(),
        "--objective",
        "margin",
        "--output",
        "packaged",
        site=site,
        plugins="good",
        cwd=tmp_path,
    )
    report = json.loads((tmp_path / "packaged" / "report.json").read_text())
    assert report["status"] == "complete"
    assert [report["config"][kind]["component"] for kind in ("encoder", "noise", "objective")] == [
        "slabs",
        "jitter",
        "margin",
    ]
    (tmp_path / "my_file.py").write_text(OBJECTIVE)
    argv = [*SHORT.split(), "--plugin", "my_file.py", "--objective", "blindly", "--output", "unpackaged"]
    code, text = call_run(*argv, site=site, plugins="good", cwd=tmp_path, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0, text
    passport = json.loads((tmp_path / "unpackaged" / "passport.json").read_text())
    assert passport["plugins"] == ["my_file.py"]
    assert json.loads((tmp_path / "unpackaged" / "report.json").read_text())["status"] == "complete"


def test_preset_of_a_package_is_explained_and_can_be_chosen(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["encoder", "--why", "slabs-narrow", "--json"]
    (explanation,) = json.loads(tool("list", *argv, site=site, plugins="good", cwd=tmp_path))
    facts = explanation["facts"]
    assert facts["origin"] == "spa3d-good 0.3.1 (entry point good)"
    assert [facts[f"weights: {key}"] for key in ("file", "layout", "url", "license")] == [
        "slabs.safetensors",
        "safetensors",
        "https://example.org/slabs",
        "CC-BY-4.0",
    ]
    argv = ["--preset", "smoke", "--encoder", "slabs-narrow", "--noise", "mask-half", "--dry-run"]
    code, planned = call_run(*argv, site=site, plugins="good", cwd=tmp_path, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0
    for words in ("preset: slabs-narrow", "width: 16", "missing_color: 0.4", "preset: mask-half", "level: 0.5"):
        assert words in planned
    assert "the published weights of slabs-narrow are slabs.safetensors, from https://example.org/slabs" in planned


def test_presets_of_a_package_and_rows_of_a_registry_file_run(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = {"site": site, "plugins": "good", "cwd": tmp_path, "monkeypatch": monkeypatch, "capsys": capsys}
    extra = "version: 1\npresets: {encoder: {slabs-few: {component: slabs, config: {slabs: 3, width: 16}}}}\n"
    (tmp_path / "extra.yaml").write_text(extra)
    argv = ["--registry", "extra.yaml", *SHORT.replace("slabs --encoder.width 16", "slabs-few").split()]
    argv = [*argv, "--noise.level", "0.3", "--output", "first"]
    code, text = call_run(*argv, **here)
    assert code == 0, text
    assert json.loads((tmp_path / "first" / "report.json").read_text())["status"] == "complete"
    passport = json.loads((tmp_path / "first" / "passport.json").read_text())
    assert passport["registry"]["file"] == "extra.yaml"
    assert len(passport["registry"]["hash"]) > 8
    code, planned = call_run("--config", "first/config.yaml", "--dry-run", **here)
    assert code == 0
    assert "registry: extra.yaml" in planned
    assert "preset: slabs-few" in planned
    (tmp_path / "extra.yaml").unlink()
    code, message = call_run("--config", "first/config.yaml", **here)
    assert code == 2
    assert "--registry extra.yaml: no such file" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("name", ["list", "run.py"])
def test_tool_without_environment_names_make_setup(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-E", str(ROOT / "tools" / name)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "make setup" in done.stderr
    assert len((ROOT / "tools" / name).read_text().splitlines()) <= 15
