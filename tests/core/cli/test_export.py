"""``spa3d export``: writes the folder and prints it; wrong arguments are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spa3d.cli import main


def test_export_writes_beside_the_model_and_prints_the_folder(
    tmp_path: Path, make_pointllm: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_pointllm(tmp_path / "run" / "model")
    assert main(["export", str(tmp_path / "run"), "--format", "pointllm"]) == 0
    target = tmp_path / "run" / "exported-pointllm"
    assert "".join(capsys.readouterr().out.split()) == str(target)
    assert (target / "tokenizer.model").exists()
    assert main(["export", str(tmp_path / "run"), "--format", "pointllm"]) == 2
    assert "not empty" in capsys.readouterr().err


def test_export_names_every_wrong_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--format", "gguf", "--mergee"]) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "did you mean '--merge'?" in message
    assert "spa3d export: name a model: the folder of a finished run" in message
    assert "--format gguf: possible: hf, pointllm" in message


def test_export_without_a_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path)]) == 2
    assert "no 3D LLM there" in " ".join(capsys.readouterr().err.split())


def test_help_lists_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--help"]) == 0
    assert "--merge" in capsys.readouterr().out
