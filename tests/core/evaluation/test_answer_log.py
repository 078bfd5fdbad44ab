"""Log of answers: several processes, torn and damaged lines."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from spa3d.contracts.benchmark import Prediction
from spa3d.errors import OutputError
from spa3d.evaluation.answer_log import AnswerLog
from spa3d.runtime.progress import SilentReporter

FREE, CHOICE = Prediction("a mug"), Prediction("b", (-1.5, -0.25, -math.inf), (1, 2, 3))


class Warnings(SilentReporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.lines.append(text)


def test_answers_come_back_exactly_from_all_processes(tmp_path: Path) -> None:
    first, second = AnswerLog(tmp_path, SilentReporter()), AnswerLog(tmp_path, SilentReporter())
    first.add({"one": FREE})
    second.add({"two": CHOICE})
    second.add({"three": Prediction("c", (0.1 + 0.2,), (1,))})
    again = AnswerLog(tmp_path, SilentReporter())
    assert len(again) == 3
    assert (again["one"], again["two"]) == (FREE, CHOICE)
    assert again["three"].option_logp == (0.1 + 0.2,)
    assert "two" not in first
    assert len(list(tmp_path.iterdir())) == 2


def test_damaged_lines_are_skipped_with_one_note(tmp_path: Path) -> None:
    AnswerLog(tmp_path, SilentReporter()).add({"good": CHOICE})
    [path] = tmp_path.iterdir()
    whole = json.loads(path.read_text())
    damaged = [
        "{",
        "[]",
        json.dumps({**whole, "key": 3}),
        json.dumps({**whole, "key": "short", "option_lengths": [1]}),
        json.dumps({**whole, "key": "text", "option_logp": ["-1.5", -0.25, 0.0]}),
        json.dumps({**whole, "key": "more", "extra": 1}),
        json.dumps({"key": "less", "text": "a"}),
    ]
    path.write_text("\n".join([*damaged, path.read_text().strip(), '{"key": "torn', ""])[:-1])
    warnings = Warnings()
    log = AnswerLog(tmp_path, warnings)
    assert len(log) == 1
    assert log["good"] == CHOICE
    assert warnings.lines == [f"{path}, line 1: 7 lines are damaged; the questions are asked again"]


def test_answers_without_a_folder_stay_in_memory(tmp_path: Path) -> None:
    log = AnswerLog(None, SilentReporter())
    log.add({"one": FREE})
    log.remember({"two": CHOICE})
    log.export(tmp_path / "part.jsonl", ["two"])
    other = AnswerLog(None, SilentReporter())
    other.read(tmp_path / "part.jsonl")
    assert ("one" in other, other["two"]) == (False, CHOICE)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="answers cannot be kept there"):
        AnswerLog(tmp_path / "file" / "below", SilentReporter())
