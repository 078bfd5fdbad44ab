"""Conversation templates: text with the position of the cloud and the spans of the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spa3d.contracts.dataset import Round


@dataclass(frozen=True)
class Prompt:
    """A conversation in its template.

    Attributes:
        text: the whole conversation, or everything before the last answer if that is to be generated.
        answers: (start, end) character spans of the answers, the end token of each round included.

    """

    text: str
    answers: tuple[tuple[int, int], ...]


Template = Callable[[Sequence[Round], str, str, bool], Prompt]
"""(rounds, text before the first question, system prompt, leave the last answer open) → `Prompt`."""


def vicuna(eos: str) -> Template:
    """Template Vicuna v1.1, as in PointLLM: ``SYSTEM USER: q ASSISTANT: a</s>USER: …``."""
    return _template(head="{} ", question="USER: {} ASSISTANT:", answer=" {}" + eos)


def plain(eos: str) -> Template:
    """Bare lines: ``question`` newline ``answer</s>``, for LLMs without a conversation format."""
    return _template(head="{}\n", question="{}\n", answer="{}" + eos)


def _template(*, head: str, question: str, answer: str) -> Template:
    """Make a template from the frames of system prompt, question and answer.

    An empty system prompt is left out with its frame.
    """

    def render(rounds: Sequence[Round], prefix: str, system: str, open_ended: bool) -> Prompt:
        text, spans = head.format(system) if system else "", []
        for number, turn in enumerate(rounds):
            text += question.format(prefix + turn.question if number == 0 else turn.question)
            if open_ended and number == len(rounds) - 1:
                break
            start = len(text)
            text += answer.format(turn.answer)
            spans.append((start, len(text)))
        return Prompt(text, tuple(spans))

    return render
