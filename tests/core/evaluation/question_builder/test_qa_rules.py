"""Categories of questions that people wrote, and what may be an option."""

from __future__ import annotations

import pytest

from spa3d.data.question_sources import AnsweredQuestion, SourceRecord
from spa3d.evaluation.question_builder.qa_rules import (
    KnownAnswers,
    classify_question,
    find_direction,
    is_possible_option,
)


@pytest.mark.parametrize(
    ("question", "answer", "category"),
    [
        ("Where is the coffee table located?", "next to sofa", "relation"),
        ("Where is the whiteboard?", "on wall", "grounding"),
        ("Where is the door?", "backward", "relation"),
        ("What is to the right of the door?", "whiteboard", "grounding"),
        ("I am sitting. Which direction should I go if I want to use soap?", "right", "navigation"),
        ("I sit on what is left of the door. How many chairs are there?", "two", ""),
        ("Which direction should I go?", "to the window", ""),
        ("What color is the chair on the left?", "brown", ""),
        ("What shape is the table on the left?", "round", ""),
        ("What is on the desk?", "yes", ""),
        ("What is on the desk?", "2", ""),
        ("What is on the desk?", "a very long answer that says far too much for one option", ""),
    ],
)
def test_scene_questions(question: str, answer: str, category: str) -> None:
    assert classify_question(AnsweredQuestion("1", question, (answer,)), "scene") == category


@pytest.mark.parametrize(
    ("question", "category"),
    [
        ("What color is the seat?", "color"),
        ("What material is it made of?", "texture"),
        ("What is it used for?", "use"),
        ("Where is it?", ""),
    ],
)
def test_object_questions(question: str, category: str) -> None:
    assert classify_question(AnsweredQuestion("1", question, ("sitting down",)), "object") == category


def test_directions() -> None:
    assert find_direction("Turn around") == "backward"
    assert find_direction("to my left") == "left"
    assert find_direction("left or right") == ""
    assert find_direction("left of the big brown table") == ""


def test_what_is_said_about_a_scene_is_no_wrong_option() -> None:
    known = AnsweredQuestion("1", "What is next to the door?", ("black chair",))
    context = KnownAnswers(SourceRecord("s", "scene", ("A lamp.",), questions=(known,), names=("trash cans",)))
    assert [context.rules_out(each) for each in ("chair", "Lamp", "the trash can", "sofa", "door black")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_possible_options() -> None:
    assert is_possible_option("right of sink", ["left of sink"], "relation")
    assert not is_possible_option("near sink", ["beside sink"], "relation")
    assert not is_possible_option("brown chair", ["chair"], "grounding")
    assert is_possible_option("under table", ["on bed"], "relation")
    assert not is_possible_option("to side", ["on bed"], "relation")  # says nothing
