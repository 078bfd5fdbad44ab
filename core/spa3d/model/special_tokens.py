"""Special tokens of a 3D LLM; data that contains them is rejected."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from spa3d.config.settings import LLMSettings
from spa3d.contracts.dataset import Round
from spa3d.errors import DataError


def reject_special_tokens(rounds: Iterable[Round], marks: Collection[str]) -> None:
    """Refuse text with a special token, which would be read as a cloud or the end of an answer.

    Raises:
        DataError: a text contains one; the message quotes both.

    """
    for text in (text for turn in rounds for text in (turn.question, turn.answer)):
        contained = sorted(mark for mark in marks if mark in text)
        if contained:
            raise DataError(
                f"the text {text[:80]!r} holds {contained[0]!r}, a mark of the model's own; change the text"
            )


def special_tokens_of(tokenizer: Any) -> set[str]:
    """Special tokens of a tokenizer, also those that none of its attributes names."""
    return {*tokenizer.all_special_tokens} | {
        token.content for token in tokenizer.added_tokens_decoder.values() if token.special
    }


def point_tokens(settings: LLMSettings) -> list[str]:
    """Names of the tokens for start, patch and end of a cloud."""
    return [settings.point_start, settings.point_patch, settings.point_end]
