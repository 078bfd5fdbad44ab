"""Templates: the published Vicuna layout, and spans that hold exactly the answers."""

from __future__ import annotations

import pytest

from spa3d.contracts.dataset import Round
from spa3d.model.chat_templates import plain, vicuna

ROUNDS = [Round("What is this?", "A mug."), Round("Color?", "Red.")]


def test_vicuna_is_written_as_published() -> None:
    prompt = vicuna("</s>")(ROUNDS, "<cloud>\n", "Be brief.", False)
    assert prompt.text == (
        "Be brief. USER: <cloud>\nWhat is this? ASSISTANT: A mug.</s>USER: Color? ASSISTANT: Red.</s>"
    )


@pytest.mark.parametrize("template", [vicuna, plain])
def test_spans_hold_the_answers_with_their_end_token(template) -> None:
    prompt = template("</s>")(ROUNDS, "", "", False)
    assert [prompt.text[a:b].strip() for a, b in prompt.answers] == ["A mug.</s>", "Red.</s>"]


@pytest.mark.parametrize("template", [vicuna, plain])
def test_an_open_prompt_ends_where_the_answer_begins(template) -> None:
    whole, open_ended = (template("</s>")(ROUNDS, "", "", flag) for flag in (False, True))
    assert whole.text.startswith(open_ended.text)
    assert len(open_ended.text) == whole.answers[-1][0]


def test_braces_in_a_question_are_text() -> None:
    prompt = vicuna("</s>")([Round("Is {} it?", "{yes}")], "", "", False)
    assert prompt.text == "USER: Is {} it? ASSISTANT: {yes}</s>"
