import pytest

from spa3d.preferences.writers.substitution import find_spans, inflect_number, pluralize, substitute


@pytest.mark.parametrize(
    ("text", "old", "new", "after"),
    [
        ("A brown leg.", "brown", "orange", "An orange leg."),
        ("An orange leg and an orange seat.", "orange", "red", "A red leg and a red seat."),
        ("An airplane.", "airplane", "chair", "A chair."),
        ("Airplane.", "airplane", "chair", "Chair."),
        ("a model of houses", "house", "tower", "a model of towers"),
        ("a model of houses", "house", "box", "a model of boxes"),
        ("4 legs", "four", "three", "3 legs"),
        ("Four legs", "four", "three", "Three legs"),
        ("an armchair", "chair", "table", "an armchair"),
        ("a tin can, a can", "tin can", "cup", "a cup, a can"),
    ],
)
def test_the_new_value_takes_over_how_the_old_one_was_written(text: str, old: str, new: str, after: str) -> None:
    assert substitute(text, find_spans(text, old), old, new) == after


def test_substitute_changes_only_the_given_spans() -> None:
    text = "a red seat and red legs"
    first, second = find_spans(text, "red")
    assert substitute(text, [second], "red", "blue") == "a red seat and blue legs"
    assert substitute(text, [first], "red", "orange") == "an orange seat and red legs"


@pytest.mark.parametrize(
    ("text", "noun", "one", "after"),
    [
        ("It has one red legs.", "legs", True, "It has one red leg."),
        ("It has two red leg and a seat.", "legs", False, "It has two red legs and a seat."),
        ("It has two.", "legs", False, "It has two."),
        ("two side table", "side tables", False, "two side tables"),
    ],
)
def test_a_noun_follows_its_number(text: str, noun: str, one: bool, after: str) -> None:
    assert inflect_number(text, 0, noun, singular=one) == after


@pytest.mark.parametrize(
    ("word", "many"), [("leg", "legs"), ("legs", "legs"), ("box", "boxes"), ("berry", "berries"), ("day", "days")]
)
def test_regular_plurals(word: str, many: str) -> None:
    assert pluralize(word) == many
