"""Answers from the training text alone."""

import pytest

from spa3d.metrics.text_floor import AnswerTable

ROUNDS = [
    ("What color is the seat?", "It is red."),
    ("What color is the seat?", "red"),
    ("What color is  the SEAT?", "It is blue."),
    ("What color is the rim?", "It is white."),
    ("What is this?", "A chair."),
    ("What is this?", "A chair."),
    ("What is this?", "A table."),
]


@pytest.fixture
def table():
    return AnswerTable(ROUNDS)


def test_usual_option_counts_the_answers_that_contain_it(table):
    # The seat: red in two of three answers, in a sentence or alone.
    assert table.usual_option("What color is the seat?", ("white", "blue", "red", "green")) == 2
    assert table.usual_option("what color is the seat?", ("white", "blue")) == 1
    assert table.usual_option("What color is the rim?", ("red", "white")) == 1


def test_usual_option_of_options_without_an_answer_is_the_first(table):
    assert table.usual_option("What color is the seat?", ("purple", "orange")) == 0


def test_usual_option_of_an_unknown_question_counts_all_answers(table):
    assert table.usual_option("What colors?", ("blue", "red", "white")) == 1


def test_usual_answer_is_the_most_frequent(table):
    assert table.usual_answer("What is this?") == "A chair."
    assert table.usual_answer("What color is the seat?") == "It is red."  # each once: the first
    assert table.usual_answer("And this?") == "A chair."
    assert len(table) == 3


def test_usual_answer_without_training_text_is_empty():
    assert AnswerTable([]).usual_answer("What is this?") == ""
    assert AnswerTable([]).usual_option("What is this?", ("a", "b")) == 0
