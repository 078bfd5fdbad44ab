"""Hygiene of question sets, by hand-worked sets."""

from __future__ import annotations

import pytest

from spa3d.metrics.option_hygiene import ShownQuestion, letter_shares, measure_options, score_most_frequent


def ask(record: str, options: tuple[str, ...], answer: int, kind: str = "color") -> ShownQuestion:
    return ShownQuestion(record, kind, "Which?", options, answer)


def test_longest_option_and_letters() -> None:
    questions = [ask("a", ("red", "dark blue", "tan"), 1), ask("b", ("red", "tan", "dark"), 0), ask("c", ("x", "y"), 0)]
    figures = measure_options(questions)
    assert figures.longest == pytest.approx((1 + 0 + 1 / 2) / 3)  # the third: two of one length
    assert figures.chance == pytest.approx((1 / 3 + 1 / 3 + 1 / 2) / 3)
    assert figures.letters == {"A": pytest.approx(2 / 3), "B": pytest.approx(1 / 3), "C": 0}


def test_the_most_frequent_option_counts_the_other_questions_only() -> None:
    options = ("red", "blue", "tan", "gray")
    # red is right in the other two of the three; blue is never right elsewhere, and red is picked in its place.
    questions = [ask("a", options, 0), ask("b", options, 0), ask("c", options, 0), ask("d", options, 1)]
    assert score_most_frequent(questions) == pytest.approx(3 / 4)
    assert score_most_frequent([ask("a", options, 0)]) == pytest.approx(1 / 4)
    kinds = [ask("a", options, 0), ask("b", options, 0, "use")]
    assert score_most_frequent(kinds) == pytest.approx(1 / 4)


def test_duplicates_are_about_one_record_and_repeated_questions_about_another() -> None:
    questions = [
        ask("a", ("red", "blue"), 0),
        ask("a", ("blue", "red"), 1),  # the order does not matter
        ask("b", ("red", "blue"), 0),
        ask("b", ("red", "tan"), 0),
    ]
    figures = measure_options(questions)
    assert (figures.duplicates, figures.repeated) == (1, 1)


def test_letters_of_nothing() -> None:
    assert letter_shares([], 2) == {"A": 0, "B": 0}
