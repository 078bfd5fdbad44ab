"""Wrong answers by a causal LM on this machine: greedy, in batches, through its chat template if it has one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from spa3d.errors import CheckpointError
from spa3d.preferences.writers.contract import Corruption, Done
from spa3d.preferences.writers.prompts import accepted, prompt_for

ROOM = 16
"""Tokens that a rewrite may have beyond twice those of the answer."""


class LocalWriter:
    """A causal LM that transformers loads; it is read when the first answers are asked for.

    Args:
        path: folder or hub name of the LM.
        device: where it runs.
        batch_size: answers written at once.

    """

    def __init__(self, path: str, *, device: torch.device | str, batch_size: int) -> None:
        self.name = f"model:{path}"
        self._path, self._device, self._batch_size = path, device, batch_size

    def rewrite(self, requests: Sequence[Corruption], done: Done) -> None:
        """Answer every request, those of similar length together; None where the LM's text is no wrong answer.

        Raises:
            CheckpointError: no LM is there.

        """
        if not requests:
            return
        model, tokenizer = self._loaded()
        chat = bool(tokenizer.chat_template)
        prompts = [_rendered(tokenizer, prompt_for(request), chat) for request in requests]
        ids = tokenizer(prompts, add_special_tokens=not chat)["input_ids"]
        answers = tokenizer([request.answer for request in requests], add_special_tokens=False)["input_ids"]
        room = [2 * len(answer) + ROOM for answer in answers]
        longest = getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length
        fitting = []
        for place, request in enumerate(requests):
            if len(ids[place]) + room[place] <= longest:
                fitting.append(place)
            else:
                done(request.key, None, f"prompt and answer do not fit into the LM's {longest} tokens")
        fitting.sort(key=lambda place: len(ids[place]) + room[place])
        for first in range(0, len(fitting), self._batch_size):
            batch = fitting[first : first + self._batch_size]
            replies = _write(model, tokenizer, [ids[place] for place in batch], max(room[place] for place in batch))
            for place, reply in zip(batch, replies, strict=True):
                done(requests[place].key, *accepted(requests[place], reply))

    def _loaded(self) -> tuple[Any, Any]:
        """The LM in eval mode on its device, and its tokenizer with a padding token."""
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(self._path, dtype="auto")
            tokenizer: Any = AutoTokenizer.from_pretrained(self._path)
        except (OSError, ValueError) as fault:
            gone = Path(self._path).is_absolute() and not Path(self._path).exists()
            first_line = "there is no such folder" if gone else str(fault).strip().partition("\n")[0]
            raise CheckpointError(
                f"--pairs.llm {self._path}: transformers cannot load a causal LM from there ({first_line}); give a "
                f"folder with config.json, weights and tokenizer, or the hub name of one"
            ) from fault
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return model.to(self._device).eval(), tokenizer


def _rendered(tokenizer: Any, prompt: str, chat: bool) -> str:
    if not chat:
        return prompt
    turns = [{"role": "user", "content": prompt}]
    # Templates without a thinking mode ignore the switch; thoughts would use up the room for the answer.
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, enable_thinking=False))


def _write(model: Any, tokenizer: Any, prompts: Sequence[list[int]], room: int) -> list[str]:
    """Greedy continuations of at most `room` tokens each; padded on the left, so a batch changes no text."""
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
