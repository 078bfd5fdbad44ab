"""``spa3d diff`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spa3d.cli import main


def save(folder: Path, values: list[int], **report: Any) -> None:
    (folder / "predictions").mkdir(parents=True)
    lines = [
        {
            "id": f"q{number}", "record": f"r{number}", "kind": "color", "set": "test", "view": view,
            "prompt": "Color?", "options": None, "answer": "red [bold]", "text": f"answer {value}",
            "value": value, "valid": True, "chance": 0.25,
        }
        for view in ("clean", "blind")
        for number, value in enumerate(values)
    ]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "predictions" / "choice.after.jsonl").write_text(text)
    (folder / "report.json").write_text(json.dumps({"config": {"seed": 3}, "decoding": {"options": "logp"}} | report))


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "220")
    save(Path("a"), [1] * 10 + [0] * 10)
    save(Path("b"), [1] * 18 + [0] * 2, config={"seed": 4})


def test_diff_prints_table_settings_and_changed_questions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a", "b/report.json", "--examples", "1", "--json", "out/d.json"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("choice: the second is 40.0 points higher (95 % interval +")
    line = next(line for line in printed.splitlines() if line.startswith("choice  "))
    assert line.split()[1:4] == ["50.0", "90.0", "+40.0"]
    assert "0.008 (+8 \N{MINUS SIGN}0)" in line
    assert "1 different setting, first → second:\n  seed: 3 → 4\n" in printed
    assert "choice: 1 of 8 changed questions\n  q10 (test, color): up, 0 → 1\n    question: Color?" in printed
    assert "reference: red [bold]\n    first: answer 0\n    second: answer 1" in printed
    assert json.loads(Path("out/d.json").read_text())["benchmarks"]["choice"]["gained"][0] == "q10"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a", "name two runs or evaluations (folders, or their report.json); given: 'a'"),
        ("a b c", "given: 'a', 'b', 'c'"),
        ("a a", "a (after post-training): both are the same answers"),
        ("a gone", "gone: no such folder"),
        ("a b --examples x", "--examples x: expected a whole number from 0"),
        ("a b --on-changed warn", "--on-changed warn: possible: stop, skip"),
        ("a b --first later", "--first later: possible: after, before"),
        ("a b --sead 1", "no flag '--sead'; did you mean '--seed'"),
        ("a b --json a/report.json/d.json", "--json a/report.json/d.json: cannot be made there"),
    ],
)
def test_diff_refuses_bad_input_with_one_message(words: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", *words.split()]) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.count("error: ") == 1


def test_diff_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "--help"]) == 0
    printed = capsys.readouterr().out
    assert all(flag in printed for flag in ("--first", "--second", "--on-changed", "--examples", "--json"))
