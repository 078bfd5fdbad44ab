"""Templates: the published Vicuna layout, and spans that hold exactly the answers."""

from __future__ import annotations

from typing import Any

import pytest

from spa3d.contracts.dataset import Round
from spa3d.errors import CheckpointError, DataError
from spa3d.model.chat_templates import PLAIN, VICUNA, Frames, chat, chat_end, make_template, place_cloud

ROUNDS = [Round("What is this?", "A mug."), Round("Color?", "Red.")]
TRICKY = [Round("Is it red or blue?", "red"), Round("Say red twice: red", " red red\n"), Round("red?", "re.d* $&")]


def test_vicuna_is_written_as_published() -> None:
    prompt = make_template(VICUNA, "</s>")(ROUNDS, "<cloud>\n", "Be brief.")
    assert prompt.text == (
        "Be brief. USER: <cloud>\nWhat is this? ASSISTANT: A mug.</s>USER: Color? ASSISTANT: Red.</s>"
    )


def test_vicuna_writes_only_the_role_of_an_empty_turn() -> None:
    prompt = make_template(VICUNA, "</s>")([Round("What?", "A mug."), Round("", "Red."), Round("Sure?", "")], "", "")
    assert prompt.text == "USER: What? ASSISTANT: A mug.</s>USER:ASSISTANT: Red.</s>USER: Sure? ASSISTANT:"
    assert [prompt.text[a:b] for a, b in prompt.answers] == [" A mug.</s>", " Red.</s>", ""]


@pytest.mark.parametrize("frames", [VICUNA, PLAIN])
def test_spans_hold_the_answers_with_their_end_token(frames: Frames) -> None:
    prompt = make_template(frames, "</s>")(ROUNDS, "", "")
    assert [prompt.text[a:b].strip() for a, b in prompt.answers] == ["A mug.</s>", "Red.</s>"]


def test_braces_in_a_question_are_text() -> None:
    prompt = make_template(VICUNA, "</s>")([Round("Is {} it?", "{yes}")], "", "")
    assert prompt.text == "USER: Is {} it? ASSISTANT: {yes}</s>"


def test_place_cloud_keeps_the_mark_inside_a_sentence() -> None:
    assert place_cloud("What is this?", "[cloud]\n") == "[cloud]\nWhat is this?"
    assert place_cloud("Look at <point> and say its color.", "[cloud]\n") == "Look at [cloud] and say its color."
    assert place_cloud("Look at <point> and say its color.", "") == "Look at and say its color."
    assert place_cloud("<point> is what?", "") == "is what?"


def test_chat_spans_are_the_answers_with_their_end_token(tokenizer: Any, any_template: tuple[str, str]) -> None:
    tokenizer.chat_template, end = any_template
    for rounds in (ROUNDS, TRICKY, TRICKY[:1]):
        whole = chat(tokenizer)(rounds, "<cloud>\n", "")
        result = [whole.text[first:last] for first, last in whole.answers]
        assert [text.removesuffix(end).strip() for text in result] == [turn.answer.strip() for turn in rounds]
        assert all(text.endswith(end) for text in result)
        assert f"<cloud>\n{rounds[0].question}" in whole.text
    assert chat_end(tokenizer) == end


def test_chat_asks_as_it_trains(tokenizer: Any, templates: dict[str, str]) -> None:
    """Qwen3 writes an empty think block before the last answer, and not when it is to generate."""
    tokenizer.chat_template = templates["qwen"]
    prompt = chat(tokenizer)(ROUNDS, "", "")
    assert prompt.text[: prompt.answers[-1][0]] == (
        "<|im_start|>user\nWhat is this?<|im_end|>\n<|im_start|>assistant\nA mug.<|im_end|>\n"
        "<|im_start|>user\nColor?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


@pytest.mark.parametrize(
    ("template", "system", "message"),
    [
        ("", "", "the tokenizer has no chat template; take vicuna or plain"),
        ("mistral", "Be brief.", "fails .only user and assistant roles.; leave --llm.system out"),
        ("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}", "", "puts no end token behind"),
        ("{% for m in messages[-2:] %}{{ m.content + '</s>' }}{% endfor %}", "", "leaves out, repeats or reorders"),
        ("{% for m in messages %}{{ m.content * 2 + '</s>' }}{% endfor %}", "", "leaves out, repeats or reorders"),
    ],
)
def test_chat_refuses_a_template_without_certain_answers(
    tokenizer: Any, templates: dict[str, str], template: str, system: str, message: str
) -> None:
    tokenizer.chat_template = templates.get(template, template)
    with pytest.raises(CheckpointError, match=rf"^--llm\.template chat: .*{message}"):
        chat(tokenizer)(ROUNDS, "", system)


def test_chat_of_a_template_that_rewrites_a_text(tokenizer: Any) -> None:
    rewriting = "{{ m.content.split('</think>')[-1] + '</s>' }}"
    tokenizer.chat_template = "{% for m in messages %}" + rewriting + "{% endfor %}"
    prompt = chat(tokenizer)([Round("What?", "Well.</think>A mug.")], "", "")
    assert [prompt.text[first:last] for first, last in prompt.answers] == ["A mug.</s>"]
    tokenizer.chat_template = "{% for m in messages %}{{ m.content | upper + 'x </s>' }}{% endfor %}"
    with pytest.raises(CheckpointError, match="leaves out, repeats or reorders"):
        chat(tokenizer)(ROUNDS, "", "")
    rewriting = "{{ m.content | replace('|', ' - ') + (' - ' if m.role == 'user' else '</s>') }}"
    tokenizer.chat_template = "{% for m in messages %}" + rewriting + "{% endfor %}"
    with pytest.raises(DataError, match="rewrites this conversation"):
        chat(tokenizer)([Round("a|b", "c|d")], "", "")
