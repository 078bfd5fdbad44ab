"""Conversation templates: text with the position of the cloud and the spans of the answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from spa3d.contracts.dataset import POINT, Round
from spa3d.errors import CheckpointError, DataError, first_line

FIXED_DAY = "{% macro strftime_now(format) %}26 Jul 2024{% endmacro %}"
"""Replacement of the date in chat templates that ask for it, so that a prompt is the same on every day."""


@dataclass(frozen=True)
class Prompt:
    """A conversation in its template.

    Attributes:
        text: the whole conversation.
        answers: (start, end) character spans of the answers, the end token of each round included.

    """

    text: str
    answers: tuple[tuple[int, int], ...]


Template = Callable[[Sequence[Round], str, str], Prompt]
"""(rounds, text before the first question, system prompt) → `Prompt`."""


@dataclass(frozen=True)
class Frames:
    """Frames around the texts of a conversation.

    ``{}`` stands for the text, and the end token follows an answer.
    An empty system prompt is left out with its frame. With a `role`, which precedes each answer, so is an empty answer,
    and an empty question becomes `empty`.
    """

    head: str
    question: str
    answer: str
    empty: str = ""
    role: str = ""


VICUNA = Frames(head="{} ", question="USER: {} ", answer=" {}", empty="USER:", role="ASSISTANT:")
"""Vicuna v1.1, as in PointLLM: ``SYSTEM USER: q ASSISTANT: a</s>USER: …``."""
PLAIN = Frames(head="{}\n", question="{}\n", answer="{}")
"""Bare lines: ``question`` newline ``answer</s>``, for LLMs without a conversation format."""
FRAMES = {"vicuna": VICUNA, "plain": PLAIN}
"""The templates that need no chat template of the tokenizer, by name."""


def make_template(frames: Frames, end: str) -> Template:
    """Make a template from `frames` and the end token of an answer."""

    def render(rounds: Sequence[Round], prefix: str, system: str) -> Prompt:
        text, spans = frames.head.format(system) if system else "", []
        for number, turn in enumerate(rounds):
            content = place_cloud(turn.question, prefix) if number == 0 else turn.question
            text += (frames.question.format(content) if content or not frames.role else frames.empty) + frames.role
            start = len(text)
            text += frames.answer.format(turn.answer) + end if turn.answer or not frames.role else ""
            spans.append((start, len(text)))
        return Prompt(text, tuple(spans))

    return render


def chat(tokenizer: Any) -> Template:
    """The tokenizer's own chat template.

    Answers are found in the rendering of the whole conversation, because templates may render a turn otherwise once
    more turns follow. What is asked is the beginning of that rendering, so that an answer begins in training where it
    begins when it is generated.
    """

    def render(rounds: Sequence[Round], prefix: str, system: str) -> Prompt:
        contents = [content for turn in rounds for content in (turn.question, turn.answer)]
        contents[0] = place_cloud(contents[0], prefix)
        text = _render_chat(tokenizer, contents, system)
        frames = _frames(tokenizer, len(contents), system)
        end = _end_token(tokenizer, frames[-1])
        spans = _find_contents(text, contents, frames)
        answers = ((_without_spaces_before(text, start), _end_of(text, stop, end)) for start, stop in spans[1::2])
        return Prompt(text, tuple(answers))

    return render


def chat_end(tokenizer: Any) -> str:
    """The token that the tokenizer's chat template puts behind an answer."""
    return _end_token(tokenizer, _frames(tokenizer, 2, "")[-1])


def place_cloud(question: str, block: str) -> str:
    """Put `block` at the mark of the question, or in front; an empty one removes the mark."""
    if POINT not in question:
        return block + question
    if block:
        return question.replace(POINT, block.rstrip("\n"))
    return re.sub(rf" ?{POINT}", "", question).lstrip()


def _render_chat(tokenizer: Any, contents: Sequence[str], system: str) -> str:
    """Render questions and answers in turn; raises `CheckpointError` if the template fails."""
    if not tokenizer.chat_template:
        raise CheckpointError("--llm.template chat: the tokenizer has no chat template; take vicuna or plain")
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents)]
    template = tokenizer.get_chat_template()
    if "strftime_now" in template:
        template = FIXED_DAY + template
    try:
        return str(tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False))
    except TemplateError as error:
        hint = "leave --llm.system out, or " if system else ""
        raise CheckpointError(
            f"--llm.template chat: the tokenizer's template fails ({first_line(error)}); {hint}take vicuna or plain"
        ) from error


def _make_stand_in(number: int) -> str:
    return f"content-{number}-of-spa3d"


def _frames(tokenizer: Any, count: int, system: str) -> list[str]:
    """What the template writes before, between and behind `count` contents."""
    contents = [_make_stand_in(number) for number in range(count)]
    rest, frames = _render_chat(tokenizer, contents, system), []
    for content in contents:
        before, mark, rest = rest.partition(content)
        if not mark or content in rest:
            raise CheckpointError(
                "--llm.template chat: the tokenizer's template leaves out, repeats or reorders turns, so the answers "
                "cannot be told from the rest; take vicuna or plain"
            )
        frames.append(before)
    return [*frames, rest]


def _end_token(tokenizer: Any, frame: str) -> str:
    """The token that begins the frame behind an answer; `CheckpointError` if there is none."""
    behind = frame.lstrip()
    known = [*tokenizer.get_added_vocab(), tokenizer.eos_token]
    ends = [token for token in known if token and behind.startswith(token)]
    if not ends:
        raise CheckpointError(
            "--llm.template chat: the tokenizer's template puts no end token behind an answer, so the model would "
            "never learn to stop; take vicuna or plain"
        )
    return max(ends, key=len)


def _find_contents(text: str, contents: Sequence[str], frames: Sequence[str]) -> list[tuple[int, int]]:
    """Spans of the contents between the frames; raises `DataError` where they are not unique.

    Templates may strip a content, and some rewrite it: then the frames alone must leave one way to divide the text.
    """
    groups = [rf"(\s*{re.escape(content.strip())}\s*)" for content in contents]
    result = _divide(text, groups, frames)
    if result is None:
        result = _divide(text, ["(.*?)"] * len(contents), frames)
        if result is None or result != _divide(text, ["(.*)"] * len(contents), frames):
            raise DataError(
                "--llm.template chat: the tokenizer's template rewrites this conversation so that its answers cannot "
                "be told from the rest; change the text, or take vicuna or plain"
            )
    return result


def _divide(text: str, groups: Sequence[str], frames: Sequence[str]) -> list[tuple[int, int]] | None:
    pattern = "".join(re.escape(frame) + group for frame, group in zip(frames, groups, strict=False))
    match = re.fullmatch(pattern + re.escape(frames[-1]), text, re.DOTALL)
    return [match.span(number + 1) for number in range(len(groups))] if match else None


def _without_spaces_before(text: str, start: int) -> int:
    """Start of an answer with the spaces before it: its first word and a space are one token."""
    return len(text[:start].rstrip(" "))


def _end_of(text: str, stop: int, end: str) -> int:
    """End of an answer with its end token, where one follows."""
    behind = text[stop:].lstrip()
    return len(text) - len(behind) + len(end) if behind.startswith(end) else stop
