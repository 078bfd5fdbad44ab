"""``spa3d predict``: its messages and its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spa3d.cli import main


@pytest.fixture
def questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps({"id": i, "cloud": f"{i}.npy", "question": "What?"}) + "\n" for i in range(3)))
    return path


def test_predict_answers_in_shards_and_says_what_is_missing(
    questions: Path, model_folder: Path, cloud_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(model_folder), "--input", "q.jsonl", "--output", "a.jsonl", "--root", str(cloud_files)]
    command += ["--device", "cpu", "--max-tokens", "3"]
    assert main([*command, "--shard", "2/2"]) == 0
    assert capsys.readouterr().out == "a.2-of-2.jsonl: 2 questions; still to be done: --shard 1/2\n"
    assert main([*command, "--shard", "1/2"]) == 0
    assert capsys.readouterr().out == "a.1-of-2.jsonl: 1 question; all shards are done: a.jsonl\n"
    assert main(command) == 0
    assert capsys.readouterr().out == "a.jsonl: 3 questions, 3 of them there before\n"
    assert main([*command, "--blind"]) == 2
    assert "a.jsonl: was made with something else (blind: False → True)" in capsys.readouterr().err


def test_predict_writes_features(
    questions: Path, model_folder: Path, cloud_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(model_folder), "--input", "q.jsonl", "--output", "f", "--root", str(cloud_files)]
    assert main([*command, "--features", "pooled", "--device", "cpu", "--format", "safetensors"]) == 0
    assert capsys.readouterr().out == "f/features.jsonl: 3 clouds\n"
    assert {path.name for path in Path("f").iterdir()} == {
        *(f"{i}.safetensors" for i in range(3)),
        *("features.jsonl", "features.jsonl.done.json"),
    }


def test_predict_refuses_before_anything_is_loaded(
    questions: Path, model_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spa3d.inference.session.load", None)
    both = ["--input", "q.jsonl", "--output", "a.jsonl"]
    refused = {
        (): "spa3d predict: name a model",
        (str(model_folder),): "--input: give it, as in: spa3d predict MODEL --input",
        (str(model_folder), "more", *both): "'more' is not expected here; one model",
        (str(model_folder), *both[2:], "--input", "no.jsonl"): "--input no.jsonl: no such file",
        (str(model_folder), *both, "--root", "no"): "--root no: no such folder",
        (str(model_folder), *both, "--shard", "3/2"): "--shard 3/2: expected i/n with i from 1 to n",
        (str(model_folder), *both, "--batch-size", "0"): "--batch-size 0: expected a whole number from 1",
        (str(model_folder), *both, "--format", "npy"): "--format: no effect without --features",
        (str(model_folder), *both, "--features", "all"): "--features all: possible: tokens, pooled",
        (str(model_folder), *both, "--features", "tokens", "--blind"): "--blind: no effect with --features",
        (str(model_folder), *both, "--features", "tokens", "--format", "pt"): "--format pt: possible: npy, safetensors",
        (str(model_folder), *both): "q.jsonl, line 1: ",
        (str(model_folder), *both[:2], "--output", "q.jsonl"): "--output q.jsonl: exists, and was not written by",
    }
    for argv, message in refused.items():
        assert main(["predict", *argv]) == 2, argv
        assert message in capsys.readouterr().err
    assert [path.name for path in questions.parent.iterdir()] == ["q.jsonl"]


def test_predict_help_lists_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"--{name} " in printed for name in ("input", "output", "shard", "features", "batch-size", "seed"))
