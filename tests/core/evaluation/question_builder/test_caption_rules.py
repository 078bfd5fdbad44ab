"""Statements that rules read from captions, and options that are false."""

from __future__ import annotations

import pytest

from spa3d.evaluation.question_builder.caption_rules import (
    Statement,
    are_near,
    find_statement,
    is_plural,
    list_values,
    select_wrong,
    states,
)


@pytest.mark.parametrize(
    ("caption", "question", "answer"),
    [
        ("A 3D model of a door, mostly dark gray.", "What is the main color of the object?", "dark gray"),
        ("A potion, mostly red and light blue.", "What are the main colors of the object?", "red and light blue"),
        ("A golden sword, mostly tan.", "What is the main color of the object?", "tan"),
        ("a red chair with blue legs", "What color is the chair?", "red"),
        ("a table with brown legs", "What color are the legs?", "brown"),
        ("A green plant in a brown clay pot", "What color is the plant?", "green"),
    ],
)
def test_colors(caption: str, question: str, answer: str) -> None:
    statement = find_statement(caption, "color")
    assert statement is not None
    assert (statement.question, statement.answer) == (question, answer)


@pytest.mark.parametrize("caption", ["an ice cream cone", "an orange tree", "a chair", "gold ore", "It is blue."])
def test_names_of_things_are_no_colors(caption: str) -> None:
    assert find_statement(caption, "color") is None


@pytest.mark.parametrize(
    ("caption", "question", "answer"),
    [
        ("a rusty metal barrel", "What is the barrel made of?", "metal"),
        ("a house made of brick with a roof", "What is the object made of?", "brick"),
        ("wooden shelves", "What are the shelves made of?", "wood"),
        ("a checkered sofa", "What pattern does the sofa have?", "checkered"),
        ("a smooth sphere", "How does the surface of the sphere look?", "smooth"),
    ],
)
def test_textures(caption: str, question: str, answer: str) -> None:
    statement = find_statement(caption, "texture")
    assert statement is not None
    assert (statement.question, statement.answer) == (question, answer)


def test_uses_follow_from_names_that_end_a_phrase() -> None:
    statement = find_statement("A 3D model of a large sofa, mostly brown.", "use")
    assert statement is not None
    assert statement.answer == "sitting"
    assert find_statement("A table lamp.", "use") == find_statement("A lamp.", "use")  # a lamp, no table
    assert find_statement("A chair leg.", "use") is None
    assert find_statement("A mushroom.", "use") is None
    assert find_statement("A sofa.", "navigation") is None


def test_near_answers() -> None:
    assert are_near("color", "gray", "dark gray")
    assert are_near("color", "tan", "brown")
    assert not are_near("color", "gray and brown", "gray and teal")
    assert are_near("texture", "stone", "brick")
    assert are_near("use", "cutting", "fighting")
    assert not are_near("use", "cutting", "reading")


def test_wrong_options_are_false_and_unlike_each_other() -> None:
    statement = Statement("", "red", "color, 1", ("red",))
    pool = [Statement("", color, "color, 1", (color,)) for color in ("blue", "navy", "red", "tan", "green", "white")]
    wrong = select_wrong(statement, pool, "a red chair with green legs", "color", count=3)
    assert [each.answer for each in wrong] == ["blue", "tan", "white"]  # navy is like blue, green is in the caption
    assert len(list_values("material")) > 3


def test_states() -> None:
    assert states("A red chair.", "red")
    assert not states("A reddish chair.", "red")
    assert states("A wooden chair.", "wood", ("wooden", "wood"))
    assert not states("A wooden chair.", "wood")
    long = "The object is a black phone with a blue screen."
    assert states("a phone, black, its screen is blue, an object", long)
    assert not states("a phone, black, its screen is red", long)


def test_plurals() -> None:
    assert is_plural("wooden shelves")
    assert not is_plural("wine glass")
    assert not is_plural("chair")
