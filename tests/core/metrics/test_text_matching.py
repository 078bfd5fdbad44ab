import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa3d.contracts.dataset import Fact
from spa3d.metrics.text_matching import asserts_fact, first_mentioned, mentions, token_f1, words

NAMES = ("armchair", "berries", "chair", "flower", "lamp", "orange", "person", "pot", "pumpkin", "street lamp", "table")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The four CHAIRS", "4 chair"),
        ("a slate blue-gray box", "slate blue gray box"),
        ("berries, knives and buses", "berry knife and bus"),
        ("glass grass bus tennis", "glass grass bus tennis"),
        ("the chair's leg", "chair leg"),
        ("", ""),
        ("... !?", ""),
    ],
)
def test_words_normalizes_text(text: str, normal: str) -> None:
    assert " ".join(words(text)) == normal


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("A chair with four legs.", "chair"),
        ("This is a chair.", "chair"),
        ("CHAIRS", "chair"),
        ("An armchair.", "armchair"),
        ("a wheelchair", None),
        ("a table with a lamp on it", "table"),
        ("a street lamp beside a table", "street lamp"),
        ("a flower pot", "pot"),
        ("a flower, pot", "flower"),
        ("an orange pumpkin", "pumpkin"),
        ("an orange, mostly orange", "orange"),
        ("chair, table or lamp", "chair"),
        ("some people", "person"),
        ("a berry", "berries"),
        ("", None),
        ("no idea", None),
    ],
)
def test_first_mentioned(text: str, named: str | None) -> None:
    assert first_mentioned(text, NAMES) == named


def test_mentions_whole_names() -> None:
    assert mentions("mostly light gray and red", "light gray")
    assert not mentions("mostly light red and gray", "light gray")
    assert not mentions("anything", "")


SWORD = "A smooth sword with a white blade, a yellow guard and a purple grip."
SUBJECTS = ("", "blade", "guard", "grip", "legs", "seat")


def fact(kind: str, subject: str, answer: str, options: tuple[str, ...] = ()) -> Fact:
    return Fact(kind, subject, "?", answer, options)


@pytest.mark.parametrize(
    ("text", "of", "stated"),
    [
        (SWORD, fact("color", "blade", "white"), True),
        (SWORD, fact("color", "guard", "white"), False),
        (SWORD, fact("color", "grip", "purple"), True),
        (SWORD, fact("texture", "", "smooth"), True),
        (SWORD, fact("color", "", "white"), False),
        (SWORD, fact("category", "", "sword", ("sword", "knife")), True),
        ("A smooth knife like a sword.", fact("category", "", "sword", ("sword", "knife")), False),
        ("a red chair with four brown legs", fact("count", "legs", "four"), True),
        ("a red chair with 4 brown legs", fact("count", "legs", "four"), True),
        ("a red chair with four brown legs", fact("color", "legs", "brown"), True),
        ("a red chair with four brown legs", fact("color", "legs", "red"), False),
        ("a red chair with four brown legs", fact("color", "", "red"), True),
        ("a stool with one black leg", fact("count", "legs", "one"), True),
        ("the blade is white; the seat is red", fact("color", "seat", "red"), True),
        ("the blade is white; the seat is red", fact("color", "blade", "red"), False),
        ("", fact("color", "blade", "red"), False),
    ],
)
def test_asserts_fact(text: str, of: Fact, stated: bool) -> None:
    assert asserts_fact(text, of, SUBJECTS) is stated


def test_asserts_fact_categories_with_equal_words() -> None:
    options = ("glass", "glasses")
    assert all(asserts_fact("A pair of glasses.", fact("category", "", answer, options)) for answer in options)


def test_token_f1() -> None:
    assert token_f1("a red chair", "a red table") == pytest.approx(0.5)  # 1 shared of 2 and 2 words
    assert token_f1("red red", "red") == pytest.approx(2 / 3)
    assert token_f1("red", "blue") == token_f1("", "blue") == token_f1("", "") == 0
    assert token_f1("The Red chairs", "red chair") == 1


@given(st.text())
def test_text_matching_accepts_any_text(text: str) -> None:
    assert 0 <= token_f1(text, text) <= 1
    assert first_mentioned(text, (text, "chair")) in (text, "chair", None)
    assert asserts_fact(text, fact("color", text, text), (text,)) in (True, False)
    if words(text):
        assert mentions(text, text)
