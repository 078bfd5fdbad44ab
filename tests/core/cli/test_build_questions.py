"""``spa3d build-questions``: a real command, and errors of its arguments."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from spa3d.cli import main
from spa3d.data.option_questions import read_option_questions

COLORS = ("red", "blue", "green", "white", "black")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))
    monkeypatch.chdir(tmp_path)
    captions = {f"o{i}": f"A 3D model of a chair, mostly {color}." for i, color in enumerate(COLORS)}
    Path("captions.json").write_text(json.dumps(captions), encoding="utf-8")


def test_a_command_writes_questions_and_says_what_is_missing(clean_environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "spa3d", "build-questions", "q.jsonl", "--source", "captions.json"]
    run: Any = partial(subprocess.run, capture_output=True, text=True, env=clean_environment)
    done = run([*command, "--categories", "color=4,use=9"], check=True)
    questions = read_option_questions(Path("q.jsonl"))
    assert [question.type for question in questions].count("color") == 4
    assert {question.answer for question in questions if question.type == "use"} == {"sitting"}
    printed = " ".join(done.stdout.split())
    assert "color 4 4 4 5" in printed
    assert "missing: 4 use; other sources, or more --attempts of an LLM, may give them" in printed
    assert "9 questions in q.jsonl" in printed
    assert Path("q.report.md").is_file()
    again = run(command, check=False)
    assert (again.returncode, again.stdout) == (2, "")
    assert "q.jsonl: there is one already" in again.stderr
    assert "Traceback" not in again.stderr


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ((), "name one file to write"),
        (("q.jsonl",), "nothing to make questions from: give --source FILE, or --dataset NAME"),
        (("q.jsonl", "--source", "none.json"), "none.json: cannot be read: no such file"),
        (("q.jsonl", "--source", "captions.json", "--writer", "gpt"), "--writer gpt: possible: rule, local, endpoint"),
        (("q.jsonl", "--source", "captions.json", "--writer", "local"), "--writer local needs --llm"),
        (("q.jsonl", "--source", "captions.json", "--checker", "local"), "--checker local needs --check-llm"),
        (("q.jsonl", "--source", "captions.json", "--check-llm", "x"), "--check-llm: no effect without --checker"),
        (("q.jsonl", "--source", "captions.json", "--blind"), "a rule cannot guess"),
        (("q.jsonl", "--source", "captions.json", "--categories", "colour"), "no category 'colour'"),
        (("q.jsonl", "--source", "captions.json", "--categories", "color=0"), "a whole number from 1"),
        (("q.jsonl", "--source", "captions.json", "--preset", "3dcqa", "--count", "3"), "keep one of them"),
        (("q.jsonl", "--source", "captions.json", "--train.steps", "3"), "no flag of spa3d build-questions"),
        (("q.jsonl", "--source", "captions.json", "--categories", "navigation"), "no question could be made"),
    ],
)
def test_wrong_arguments(capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], why: str) -> None:
    assert main(["build-questions", *argv]) == 2
    assert why in " ".join(capsys.readouterr().err.split())
    assert not Path("q.jsonl").exists()


def test_help_and_the_list_of_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build-questions", "--help"]) == 0
    assert "--checker rule|local|endpoint" in capsys.readouterr().out
    assert main([]) == 0
    assert "build-questions" in capsys.readouterr().out
    assert main(["build_questions"]) == 2
