"""Token ids of a prompt that is to be continued."""

from __future__ import annotations

from typing import Any

Offsets = list[tuple[int, int]]
"""Start and end of each token, in characters."""


def encode_prompt(tokenizer: Any, text: str, *, add_start: bool) -> tuple[list[int], Offsets]:
    """Tokenize a prompt: ids and offsets, without the end token that some tokenizers append.

    Args:
        tokenizer: of any LLM; one that is not fast gives no offsets.
        text: the prompt.
        add_start: put the tokenizer's start token in front, if it has one; chat templates write their own.

    """
    encoded = tokenizer(
        text,
        add_special_tokens=add_start,
        return_offsets_mapping=tokenizer.is_fast,
        return_special_tokens_mask=True,
    )
    count = len(encoded["input_ids"])
    while count and encoded["special_tokens_mask"][count - 1]:
        count -= 1
    if not count:  # an empty text: what is there stands in front
        count = int(add_start and tokenizer.bos_token_id in encoded["input_ids"][:1])
    return encoded["input_ids"][:count], encoded.get("offset_mapping", [])[:count]
