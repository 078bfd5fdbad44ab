from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spa3d.cli import main

HOSTILE = "[/red]<script>|\x1b[31mred"
PLUGIN = """
from spa3d import Component, hookimpl

@hookimpl
def spa3d_components():
    yield Component("noise", {name!r}, "listed:Noise", {summary!r})
"""


@pytest.fixture(autouse=True)
def _toys(toy_registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here lists toys, as a pipe would see them."""
    monkeypatch.delenv("COLUMNS", raising=False)


def list_output(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    assert main(["list", *argv]) == code
    return capsys.readouterr().out


def test_list_one_line_per_entry(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split() for line in list_output(capsys, "noise").splitlines()]
    assert lines[0] == ["kind", "name", "summary", "origin", "status"]
    assert ["quiet", "*", "None", "at", "all", "built-in", "ready"] in lines
    assert ["compiled", "Needs", "a", "kernel", "built-in", "unavailable:", "needs", "kernel_nobody_has"] in [
        [word for word in line if word != "noise"] for line in lines
    ]


def test_list_says_where_components_of_an_empty_kind_come_from(capsys: pytest.CaptureFixture[str]) -> None:
    message = "there is no judge yet; plugins bring them: a package, or a file with --plugin (docs/plugins.md)\n"
    assert list_output(capsys, "judge") == message
    assert list_output(capsys).count(message) == 1
    assert "there is no" not in list_output(capsys, "noise")
    assert json.loads(list_output(capsys, "judge", "--json"))["entries"] == []


def test_list_json(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(list_output(capsys, "encoder", "--json"))
    assert document["schema"] == 1
    assert [entry["name"] for entry in document["entries"]] == ["other", "plain", "plain-wide", "plain-tiny"]
    assert document["entries"][1] == {
        "kind": "encoder",
        "name": "plain",
        "summary": "A plain encoder",
        "origin": "built-in",
        "status": "ready",
        "cause": "",
        "default": True,
        "preset_of": "",
        "target": "toy_parts:ToyEncoder",
        "requires": [],
        "programs": [],
        "install": "",
        "source": "a paper",
        "license": "MIT",
    }
    assert document["broken"] == document["clashes"] == document["slow"] == []


def test_list_check_shows_imports(capsys: pytest.CaptureFixture[str]) -> None:
    assert "imports" in list_output(capsys, "encoder", "--check")
    printed = list_output(capsys, "noise", "--check", code=1)
    assert "broken: noise 'lost' (built-in): toy_parts:Lost cannot be imported" in printed


def test_list_check_ignores_unavailable(toy_registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = ("unfinished", "number", "lost")
    kept = [line for line in toy_registry.read_text().splitlines() if not line.strip().startswith(broken)]
    toy_registry.write_text("\n".join(kept))
    assert "unavailable: needs kernel_nobody_has" in list_output(capsys, "--check")


def test_list_why(capsys: pytest.CaptureFixture[str]) -> None:
    printed = list_output(capsys, "--why", "plain-tiny")
    for words in ("toy_parts.py:", "MIT", "a paper", "tiny.safetensors", "https://example.org", "integer ≥ 1 and ≤ 64"):
        assert words in printed
    document = json.loads(list_output(capsys, "--why", "plain", "--json"))
    assert document[0]["fields"][0]["name"] == "width"


def test_list_clash_is_shown_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "listed_clash.py"
    path.write_text(PLUGIN.format(name="quiet", summary="…"))
    assert main(["list", "--plugin", str(path)]) == 2
    seen = capsys.readouterr()
    assert "plain" in seen.out
    assert f"noise 'quiet' is brought by {path} and spa3d" in seen.err


def test_list_registry_file_adds_rows(capsys: pytest.CaptureFixture[str]) -> None:
    Path("extra.yaml").write_text("version: 1\npresets: {noise: {silent: {component: quiet, summary: Still less}}}\n")
    entries = json.loads(list_output(capsys, "noise", "--json", "--registry", "extra.yaml"))["entries"]
    (added,) = [entry for entry in entries if entry["name"] == "silent"]
    assert (added["origin"], added["preset_of"], added["summary"]) == ("extra.yaml", "quiet", "Still less")
    assert "silent" not in list_output(capsys, "noise")


def test_list_escapes_third_party_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "listed_hostile.py"
    path.write_text(PLUGIN.format(name="hostile", summary=HOSTILE))
    printed = list_output(capsys, "noise", "--plugin", str(path))
    assert "[/red]<script>|\\x1b[31mred" in printed
    assert "\x1b" not in printed
    document = json.loads(list_output(capsys, "noise", "--json", "--plugin", str(path)))
    assert HOSTILE in [entry["summary"] for entry in document["entries"]]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nois"], "no kind 'nois'; did you mean 'noise'?"),
        (["noise", "encoder"], "'encoder' is one kind too many"),
        (["--jsn"], "no flag '--jsn'; did you mean '--json'?"),
        (["--jsn", "x"], "no flag '--jsn'; did you mean '--json'?"),
        (["--why"], "--why: its value is missing"),
        (["--why", "plane"], "did you mean 'plain'"),
        (["--registry", "gone.yaml"], "--registry gone.yaml: no such file"),
    ],
)
def test_list_bad_input_is_one_message(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", *argv]) == 2
    seen = capsys.readouterr()
    assert words in seen.err
    assert seen.err.count("\n") == 1
    assert not seen.out


def test_list_help_names_kinds_and_flags(capsys: pytest.CaptureFixture[str]) -> None:
    printed = list_output(capsys, "--help")
    for words in ("encoder", "objective", "--why NAME", "--check", "--json"):
        assert words in printed


def test_list_imports_neither_torch_nor_components(clean_environment: dict[str, str]) -> None:
    code = (
        "import sys; from spa3d.cli import main; assert main(['list']) == 0; "
        "heavy = {'torch', 'transformers', 'numpy', 'spa3d.config.settings', 'spa3d_plugins.noise.mask'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=clean_environment)


def test_list_automatic_backend_depends_on_the_compiler(clean_environment: dict[str, str], tmp_path: Path) -> None:
    compiler = tmp_path / "c++"
    compiler.touch(mode=0o755)
    clean_environment.pop("CXX", None)

    def ops(*argv: str, path: str) -> str:
        command = [
            sys.executable,
            "-c",
            "import sys; from spa3d.cli import main; sys.exit(main())",
            "list",
            "ops",
            *argv,
        ]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env={**clean_environment, "PATH": path}
        ).stdout

    there, away = ops(path=str(tmp_path)), ops(path="")
    assert "--ops auto takes cpp on cpu" in there
    assert "--ops auto takes torch on cpu" in away
    assert "unavailable: needs one of $CXX, c++, g++, clang++ on the PATH" in away
    assert "unavailable: needs one of" not in there
    clean_environment["CXX"] = "gone"
    named = ops(path=str(tmp_path))
    assert "--ops auto takes torch on cpu" in named
    assert "unavailable: needs $CXX, and 'gone' is not there" in named
    del clean_environment["CXX"]
    document = json.loads(ops("--json", path=""))
    assert document["ops_auto"]["cpu"] == "torch"
    assert next(entry["name"] for entry in document["entries"] if entry["default"]) == "torch"
