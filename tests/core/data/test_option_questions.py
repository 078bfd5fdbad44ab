"""Files of questions with options: what is written is read, bad lines are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spa3d.data.option_questions import (
    OptionQuestion,
    describe_bad_options,
    format_option_questions,
    read_option_questions,
    show_question,
)
from spa3d.data.questions import split_options
from spa3d.errors import DataError

GOOD: dict[str, Any] = {
    "id": "r1/color",
    "source": "r1",
    "type": "color",
    "question": "What color is it?",
    "options": ["red", "blue", "green", "white"],
    "answer_index": 2,
}


def test_questions_are_read_as_they_were_written(tmp_path: Path) -> None:
    question = OptionQuestion(
        "a", "r1", "use", "For what?", ("sitting", "lying"), 1, "scene", "Letter only.", {"writer": "rule"}, True
    )
    path = tmp_path / "q.jsonl"
    path.write_text(format_option_questions([question]), encoding="utf-8")
    assert read_option_questions(path) == [question]
    assert (question.answer, question.letter) == ("lying", "B")


def test_a_line_needs_only_the_required_keys(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(GOOD) + "\n", encoding="utf-8")
    (question,) = read_option_questions(path)
    assert (question.level, question.prompt_suffix, question.blind_solvable) == ("object", "", None)
    assert question.answer == "green"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"options": ["red", "Red.", "green", "white"]}, "two options are the same"),
        ({"options": ["red", " ", "green", "white"]}, "an option is empty"),
        ({"options": ["red"]}, "1 options; 2 to 8 are possible"),
        ({"options": ["red", "B) blue", "green", "white"]}, "holds a line break or a letter"),
        ({"options": "red, blue"}, "options must be a list of texts"),
        ({"answer_index": 4}, "answer_index 4 is none of its 4 options"),
        ({"answer_index": True}, "answer_index True is none"),
        ({"question": ""}, "question must be a text"),
        ({"prompt_suffix": 3}, "prompt_suffix must be a text"),
        ({"blind_solvable": "no"}, "blind_solvable must be true, false or null"),
        ({"provenance": []}, "provenance must be an object"),
    ],
)
def test_bad_lines_are_refused_with_their_place(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD | {"id": "other"} | change) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 2: ") as caught:
        read_option_questions(path)
    assert why in str(caught.value)


def test_missing_keys_double_ids_and_empty_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({key: GOOD[key] for key in GOOD if key != "answer_index"}), encoding="utf-8")
    with pytest.raises(DataError, match="line 1: answer_index missing"):
        read_option_questions(path)
    path.write_text(json.dumps(GOOD | {"anwser_index": 1}).replace('"answer_index": 2, ', ""), encoding="utf-8")
    with pytest.raises(DataError, match="did you mean 'answer_index'"):
        read_option_questions(path)
    path.write_text(2 * (json.dumps(GOOD) + "\n"), encoding="utf-8")
    with pytest.raises(DataError, match="line 2: the id 'r1/color' is there twice"):
        read_option_questions(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="no questions in it"):
        read_option_questions(path)
    path.write_text("[1]\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1: a line must be an object"):
        read_option_questions(path)


def test_the_suffix_is_no_part_of_the_last_option() -> None:
    shown = show_question("Which?", ("red", "dark blue"), "Answer with the letter only.")
    assert shown == "Which? A) red B) dark blue\nAnswer with the letter only."
    assert split_options(shown) == ("Which?", {"A": "red", "B": "dark blue"})
    assert describe_bad_options(("red", "dark blue")) == ""
