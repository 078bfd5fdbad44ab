"""Prompts of benchmarks: a setting holds a name, a question, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from spa3d.errors import describe_unknown


def check_prompt(prompt: str, named: Mapping[str, str]) -> str:
    """Check the setting of a prompt; a single word must be a name.

    Raises:
        ValueError: it is another word.

    """
    if prompt and prompt not in named and len(prompt.split()) < 2:
        raise ValueError(f"{describe_unknown('prompt', prompt, named)}, or a question of several words")
    return prompt


def find_prompt(prompt: str, named: Mapping[str, str], own: str) -> str:
    """Find the text of a prompt: that of a name, the setting itself, or else `own`."""
    return named.get(prompt, prompt) or own


def mark_id(question_id: str, prompt: str, named: Mapping[str, str]) -> str:
    """Mark the id of a question with another prompt, so that two prompts are never paired."""
    if not prompt:
        return question_id
    return f"{question_id}-{prompt if prompt in named else hashlib.sha256(prompt.encode()).hexdigest()[:8]}"
