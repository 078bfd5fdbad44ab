"""Questions of a file about the records of a split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spa3d.data.option_questions import OptionQuestion
from spa3d.data.option_selection import select_option_questions
from spa3d.errors import DataError

FILE = Path("q.jsonl")


def ask_about(*records: str) -> list[OptionQuestion]:
    return [OptionQuestion(f"{name}/q", name, "color", "Which?", ("a", "b"), 0) for name in records]


def test_questions_about_other_splits_are_left_out_in_silence(toy_dataset: Any) -> None:
    questions = ask_about("test-1", "train-0", "test-0")
    selected = select_option_questions(questions, toy_dataset, "test", path=FILE)
    assert [each.source for each in selected] == ["test-1", "test-0"]


def test_questions_about_unknown_records_are_refused_or_noted(toy_dataset: Any, monkeypatch: Any) -> None:
    questions = ask_about("test-1", "nobody", "nothing")
    with pytest.raises(DataError, match=r"2 of its 3 questions are about records .* first is 'nobody'"):
        select_option_questions(questions, toy_dataset, "test", path=FILE)
    monkeypatch.setattr(toy_dataset, "on_bad_data", "skip")
    monkeypatch.setattr(toy_dataset.skip_log, "notes", [])
    assert len(select_option_questions(questions, toy_dataset, "test", path=FILE)) == 1
    (note,) = toy_dataset.skip_log.notes
    assert note.startswith("q.jsonl: 2 of its 3 questions are about records that the dataset lacks")
    assert note.endswith("the first is 'nobody'; they are left out")
