"""Replies of a local causal LM: greedy, in batches, with its chat template if it has one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Reply:
    """The reply to one prompt.

    Attributes:
        index: index of the prompt.
        text: generated text; None if the prompt was not used.
        why_not: why the prompt was not used.

    """

    index: int
    text: str | None
    why_not: str = ""


def generate_replies(
    model: Any, tokenizer: Any, prompts: Sequence[str], max_new_tokens: Sequence[int], *, batch_size: int
) -> Iterator[Reply]:
    """Yield the greedy reply to every prompt, batch by batch, those of similar length together.

    Args:
        model: a causal LM of transformers in eval mode, on its device.
        tokenizer: its tokenizer; without a padding token its end token is set as one.
        prompts: one user message each.
        max_new_tokens: limit per reply; in a batch the largest limit applies to all.
        batch_size: replies generated at once.

    """
    longest = getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    chat = bool(tokenizer.chat_template)
    texts = [_apply_chat_template(tokenizer, prompt) for prompt in prompts] if chat else list(prompts)
    ids = tokenizer(texts, add_special_tokens=not chat)["input_ids"]
    lengths = [len(prompt) + room for prompt, room in zip(ids, max_new_tokens, strict=True)]
    fitting = []
    for index, length in enumerate(lengths):
        if length <= longest:
            fitting.append(index)
        else:
            yield Reply(index, None, f"prompt and answer do not fit into the LM's {longest} tokens")
    fitting.sort(key=lambda index: lengths[index])
    for first in range(0, len(fitting), batch_size):
        batch = fitting[first : first + batch_size]
        room = max(max_new_tokens[index] for index in batch)
        written = _generate(model, tokenizer, [ids[index] for index in batch], room)
        yield from (Reply(index, text) for index, text in zip(batch, written, strict=True))


def _apply_chat_template(tokenizer: Any, prompt: str) -> str:
    turns = [{"role": "user", "content": prompt}]
    # Thoughts would use up the tokens of the answer. Templates without a thinking mode ignore the switch.
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, enable_thinking=False))


def _generate(model: Any, tokenizer: Any, prompts: Sequence[list[int]], room: int) -> list[str]:
    """Greedy continuations of at most `room` tokens each; left padding keeps batches equal."""
    padded = tokenizer.pad({"input_ids": prompts}, padding_side="left", return_tensors="pt").to(model.device)
    width = padded["input_ids"].shape[1]
    with torch.no_grad():
        written = model.generate(
            input_ids=padded["input_ids"],
            attention_mask=padded["attention_mask"],
            max_new_tokens=room,
            do_sample=False,
            num_beams=1,
            pad_token_id=tokenizer.pad_token_id,
        )
    return [str(text) for text in tokenizer.batch_decode(written[:, width:], skip_special_tokens=True)]
