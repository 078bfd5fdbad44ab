"""Prompts for questions and for checks, and what replies are worth."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spa3d.data.question_sources import AnsweredQuestion, SourceRecord
from spa3d.evaluation.question_builder.contract import Draft, DraftRequest
from spa3d.evaluation.question_builder.prompts import (
    NOTHING,
    ask_for_answer,
    ask_for_question,
    parse_draft,
    parse_pick,
)

RECORD = SourceRecord("o", "object", ("A red chair.",))
REQUEST = DraftRequest(RECORD, "color")
KNOWN = DraftRequest(RECORD, "color", AnsweredQuestion("q", "What color is it?", ("red", "crimson")))
GOOD: dict[str, Any] = {
    "question": "What color is the chair?",
    "options": ["Blue.", "Red.", "Green.", "White."],
    "answer": "red",
}


def reply(**change: Any) -> str:
    return json.dumps(GOOD | change)


@pytest.mark.parametrize(
    "text",
    [
        reply(),
        f"<think>Hm {{}}</think>Here it is:\n```json\n{reply()}\n```\nI hope it helps.",
        reply(answer="B"),
        reply(answer="B) Red."),
        reply(options=["A) Blue.", "B) Red.", "C) Green.", "D) White."]),
    ],
)
def test_a_question_is_read_with_the_right_option_first(text: str) -> None:
    draft = parse_draft(REQUEST, text, {"prompt": "x"})
    assert isinstance(draft, Draft)
    assert draft.options == ("Red.", "Blue.", "Green.", "White.")
    assert (draft.question, draft.origin, draft.made) == (GOOD["question"], "caption", {"prompt": "x"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the reply is empty"),
        ("<think>I do not know", "the reply is empty"),
        ("<!DOCTYPE html><html>{}</html>", "the reply is a web page"),
        ("I'm sorry, I can't.", "the reply holds no JSON object"),
        ('{"question": "What', "the reply is broken JSON"),
        ('{"question": null}', NOTHING),
        (reply(question=""), "it has no question"),
        (reply(options=["red", "blue"]), "its options are no list of 4 texts"),
        (reply(options=[1, 2, 3, 4]), "its options are no list of 4 texts"),
        (reply(options="red"), "its options are no list of 4 texts"),
        (reply(answer="Yellow."), "its answer is none of its options"),
        (reply(answer=None), "its answer is none of its options"),
        (reply(options=["Red.", "red", "Green.", "White."]), "two options are the same"),
        (reply(question="W" * 301), "longer than 300 characters"),
        (reply(question="What \u0000 color?"), "unprintable"),
    ],
)
def test_other_replies_are_refused_with_a_reason(text: str, why: str) -> None:
    draft = parse_draft(REQUEST, text, {})
    assert isinstance(draft, str)
    assert why in draft


def test_wrong_options_of_a_known_question() -> None:
    draft = parse_draft(KNOWN, '{"wrong": ["blue", "green", "white"]}', {})
    assert isinstance(draft, Draft)
    assert (draft.question, draft.options, draft.origin) == (
        "What color is it?", ("red", "blue", "green", "white"), "qa",
    )  # fmt: skip
    assert parse_draft(KNOWN, '{"wrong": ["blue", "green"]}', {}) == "its 'wrong' is no list of 3 texts"
    assert parse_draft(KNOWN, '{"wrong": ["blue", "Red", "tan"]}', {}) == "two options are the same"


def test_prompts_hold_what_is_needed_and_no_more() -> None:
    assert "Description: A red chair." in ask_for_question(REQUEST)
    assert "color of the object" in ask_for_question(REQUEST)
    known = ask_for_question(KNOWN)
    assert "True answer: red" in known
    assert "A red chair" not in known
    draft = Draft("Which?", "red", ("blue",), "caption")
    shown = ask_for_answer("A red chair.", draft, ("blue", "red"), "object")
    assert shown.endswith("Description: A red chair.\n\nQuestion: Which? A) blue B) red")
    assert "chair" not in ask_for_answer("", draft, ("blue", "red"), "object")


def test_picks() -> None:
    options = ("blue", "red")
    assert parse_pick("<think>A?</think>(B)", options) == "B"
    assert parse_pick("It is blue.", options) == "A"
    assert parse_pick("none", options) is None
    assert parse_pick("<think>B", options) is None
