import pytest

from spa3d.contracts.dataset import Fact, Record
from spa3d.data.questions import append_options
from spa3d.preferences.writers.contract import RewriteRequest
from spa3d.preferences.writers.prompts import LONGER, TASK, parse_reply

SEAT = Fact("color", "seat", "What color is the seat?", "red", ("red", "blue"))
CAPTION = "A red chair with four legs."


def parse(reply: str, question: str = "What is this?", answer: str = CAPTION) -> tuple[str | None, str]:
    record = Record(id="r", object_id="r", group="r", load=lambda: None, conversations=(), facts=(SEAT,))  # type: ignore[arg-type,return-value]
    return parse_reply(RewriteRequest("k", question, answer, record), reply)


@pytest.mark.parametrize(
    "reply",
    [
        "A blue chair with four legs.",
        "  A blue chair with four legs.\n",
        '"A blue chair with four legs."',
        "\N{LEFT DOUBLE QUOTATION MARK}A blue chair with four legs.\N{RIGHT DOUBLE QUOTATION MARK}",
        "Rewritten answer: A blue chair with four legs.",
        "A blue chair with four legs.\n\nQuestion: What is it?\nTrue answer: a cup",
        "<think>Red becomes blue.</think>\nA blue chair with four legs.",
    ],
)
def test_a_wrong_answer_is_taken_without_its_wrapping(reply: str) -> None:
    assert parse(reply) == ("A blue chair with four legs.", "")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "empty"),
        (" ?! ", "empty"),
        ("\x00 red chair with four legs", "unprintable"),
        ("A \N{REPLACEMENT CHARACTER} chair with four legs", "unprintable"),
        ("the red chair with 4 leg", "true answer"),
        ("<p>A blue chair with four legs.</p>", "markup"),
        ("<|im_start|>A blue chair with four legs.", "markup"),
        ('["A blue chair with four legs."]', "JSON"),
        ("I cannot call this chair blue with four legs.", "refusal"),
        ("As an AI, a blue chair with four legs", "refusal"),
        ("True answer: A blue chair with four legs.", "prompt"),
        (TASK[:80], "prompt"),
        ("What is this?", "prompt"),
        ("A blue chair with four legs." * LONGER + "!", "times as long"),
        ("Legs grown over everywhere else now", "too few words"),
    ],
)
def test_parse_reply_refuses_other_replies_with_a_reason(reply: str, why: str) -> None:
    text, reason = parse(reply)
    assert text is None
    assert why in reason


def test_a_short_answer_may_become_a_longer_word() -> None:
    assert parse("turquoise", answer="tan")[0] == "turquoise"
    assert parse("x" * 37, answer="tan")[0] is None


def test_parse_reply_refuses_the_true_value_of_the_fact() -> None:
    question = SEAT.question
    assert parse("It is blue.", question, "It is red.") == ("It is blue.", "")
    assert "true value" in parse("The seat is red.", question, "It is red.")[1]


def test_parse_reply_requires_another_shown_option() -> None:
    question = append_options(SEAT.question, ("red", "blue", "white"))
    assert parse("white", question, "red") == ("white", "")
    assert "options shown" in parse("green", question, "red")[1]
    assert "options shown" in parse("a red one", question, "red")[1]
    assert parse("C", question, "A") == ("C", "")
