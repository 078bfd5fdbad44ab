"""``spa3d pairs``: errors of its arguments, and a file that it writes and shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spa3d.cli import main
from spa3d.data.preference_pairs import read_pairs

SMOKE = ("--preset", "smoke", "--device", "cpu", "--pairs.mode", "corruption", "--pairs.limit", "12")


@pytest.fixture(autouse=True)
def _what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))
    monkeypatch.chdir(tmp_path)


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["pairs", *argv]) == 2
    assert not Path("pairs.jsonl").exists()
    return capsys.readouterr().err


def test_pairs_wrong_arguments(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "name one file to write, as in: spa3d pairs pairs.jsonl --pairs.mode augmentation" in refusal(capsys)
    assert "name one file" in refusal(capsys, "a.jsonl", "b.jsonl")
    message = refusal(capsys, "pairs.jsonl")
    assert message.startswith("error: --pairs.mode: say how the pairs are made: --pairs.mode augmentation (")
    assert "or --pairs.mode corruption (" in message
    message = refusal(capsys, "pairs.jsonl", "--pairs.mode", "guess")
    assert "'guess' is not allowed; possible: " in message
    assert "augmentation|corruption" in message
    assert "--pairs.path: spa3d pairs makes pairs" in refusal(capsys, "pairs.jsonl", "--pairs.path", "x.jsonl")
    assert "--resume: spa3d pairs writes one file and always continues" in refusal(capsys, "pairs.jsonl", "--resume")
    assert "none/pairs.jsonl: there is no folder none" in refusal(capsys, "none/pairs.jsonl", *SMOKE)
    Path("old.jsonl").write_text("")
    assert "old.jsonl: there is one already" in refusal(capsys, "old.jsonl", *SMOKE)
    Path("old").mkdir()
    assert "old: a folder; name the file to write, such as old/pairs.jsonl" in refusal(capsys, "old", *SMOKE)
    for url in ("https://me:sesame@host/v1", "https://host/v1?key=sesame"):
        message = refusal(capsys, "pairs.jsonl", *SMOKE, "--pairs.url", url)
        assert "kept in config.yaml and the report, secrets included; leave them out" in " ".join(message.split())
    Path("extra.yaml").write_text("version: 1\npresets: {noise: {mask: {component: mask}}}\n")
    message = refusal(capsys, "pairs.jsonl", *SMOKE, "--registry", "extra.yaml")
    assert message.startswith("error: extra.yaml:2 presets.noise.mask: ")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "start it without torchrun" in refusal(capsys, "pairs.jsonl", *SMOKE)


def test_pairs_help_lists_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pairs", "--help"]) == 0
    printed = capsys.readouterr().out
    assert all(
        f"--pairs.{name}" in printed for name in ("mode", "chosen", "writer", "llm", "url", "limit", "batch_size")
    )
    assert "--pairs.path" not in printed


def test_pairs_writes_and_shows_a_file(tmp_path: Path, clean_environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", "import sys; from spa3d.cli import main; sys.exit(main())"]
    ended = subprocess.run(
        [*command, "pairs", "pairs.jsonl", *SMOKE],
        env={**clean_environment, "SPA3D_BASES": str(tmp_path / "bases"), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    pairs = read_pairs(tmp_path / "pairs.jsonl")
    assert "12  requests" in ended.stdout
    assert f"{len(pairs)}  pairs in pairs.jsonl" in ended.stdout
    assert all(pair.rejected in ended.stdout for pair in pairs[:3])
    assert {pair.made["writer"] for pair in pairs} == {"rule"}
    assert list((tmp_path / "bases").glob("*/base.json")) == []  # who rewrites the truth needs no model
