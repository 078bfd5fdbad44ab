"""Hygiene of answered questions, from prediction rows."""

from __future__ import annotations

from typing import Any

import pytest

from spa3d.data.option_questions import OptionQuestion
from spa3d.evaluation.hygiene import measure_questions, summarize_hygiene

PROMPT = "Which? A) red B) dark blue C) tan D) gray"


def row(name: str, text: str, *, view: str = "clean", answer: str = "red", **other: Any) -> dict[str, Any]:
    right = float(text == answer)
    return {
        "id": name, "record": "r", "kind": "color", "view": view, "prompt": PROMPT, "answer": answer, "text": text,
        "value": right, "valid": True, **other,
    }  # fmt: skip


def test_texts_are_read_as_letters() -> None:
    rows = [row("a", "red"), row("b", "tan"), row("a", "red", view="blind"), row("b", "gray", view="blind")]
    figures = summarize_hygiene(rows)
    assert figures is not None
    assert figures["letters_right"] == {"A": 1, "B": 0, "C": 0, "D": 0}
    assert figures["letters_picked"] == {"A": 0.5, "B": 0, "C": 0.5, "D": 0}
    assert (figures["solvable_blind"], figures["longest_option"], figures["invalid"]) == (0.5, 0, 0)
    assert (figures["questions"], figures["chance"], figures["duplicates"]) == (2, 0.25, 1)
    assert "consistent" not in figures


def test_generated_letters_and_unreadable_answers() -> None:
    rows = [
        row("a", "<think>A or B?</think>The answer is (B).", answer="A"),
        row("b", "No idea", answer="B", valid=False),
    ]
    figures = summarize_hygiene(rows)
    assert figures is not None
    assert figures["letters_picked"] == {"A": 0, "B": 1, "C": 0, "D": 0}
    assert figures["letters_right"] == {"A": 0.5, "B": 0.5, "C": 0, "D": 0}
    assert figures["invalid"] == 0.5
    assert "solvable_blind" not in figures


def test_rotations_are_one_question_and_count_if_all_are_there() -> None:
    turned = ["Which? A) x B) y", "Which? A) y B) x"]
    rows = [
        row("a", "x", answer="x", prompt=turned[0]),
        row("a/rotation-1", "x", answer="x", prompt=turned[1]),
        row("b", "x", answer="x", prompt=turned[0]),
        row("b/rotation-1", "y", answer="x", prompt=turned[1]),
        row("c", "x", answer="x", prompt=turned[0]),  # its other rotation was not asked
    ]
    figures = summarize_hygiene(rows)
    assert figures is not None
    assert figures["questions"] == 3
    assert figures["consistent"] == 0.5
    assert figures["letters_picked"]["A"] == pytest.approx(4 / 5)


def test_free_answers_have_no_hygiene() -> None:
    assert summarize_hygiene([row("a", "A chair", prompt="What is this?", answer="chair")]) is None
    assert summarize_hygiene([row("a", "x", answer="not shown")]) is None
    assert summarize_hygiene([]) is None


def test_a_file_of_questions_is_measured_by_category() -> None:
    questions = [
        OptionQuestion("1", "r", "color", "Which?", ("red", "tan"), 0),
        OptionQuestion("2", "s", "use", "For what?", ("sitting", "lying"), 1),
    ]
    figures = measure_questions(questions)
    assert [*figures] == ["color", "use", "all"]
    assert figures["all"].questions == 2
    assert [*measure_questions(questions[:1])] == ["color"]
