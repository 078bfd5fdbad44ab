"""Writer of wrong answers: a causal LM on this machine."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from spa3d.llm_clients.local import generate_replies
from spa3d.model.llm import find_reply_stops, load_causal_lm
from spa3d.preferences.writers.contract import OnResult, RewriteRequest
from spa3d.preferences.writers.prompts import parse_reply, prompt_for

SETTING = {"flag": "--pairs.llm", "alternative": "OWNER/NAME of one on the Hugging Face hub"}
"""The setting with the LM's path, for error messages."""
ROOM = 16
"""Tokens that a rewrite may have beyond twice those of the answer."""


class LocalWriter:
    """Writer that runs a causal LM with transformers; the LM is loaded on first use.

    Args:
        path: folder or hub name of the LM.
        device: device of the LM.
        batch_size: answers generated at once.

    """

    def __init__(self, path: str, *, device: torch.device | str, batch_size: int) -> None:
        self.name = f"model:{path}"
        self._path, self._device, self._batch_size = path, device, batch_size

    def rewrite(self, requests: Sequence[RewriteRequest], on_result: OnResult) -> None:
        """Rewrite every answer, in batches of similar length; None if the reply is no wrong answer.

        Raises:
            CheckpointError: no LM can be loaded from the path.

        """
        if not requests:
            return
        model, tokenizer = load_causal_lm(self._path, **SETTING)
        model = model.to(self._device).eval()
        answers = tokenizer([request.answer for request in requests], add_special_tokens=False)["input_ids"]
        room = [2 * len(answer) + ROOM for answer in answers]
        prompts = [prompt_for(request) for request in requests]
        model.generation_config.eos_token_id = find_reply_stops(model, tokenizer) or None
        for reply in generate_replies(model, tokenizer, prompts, room, batch_size=self._batch_size):
            request = requests[reply.index]
            if reply.text is None:
                on_result(request.key, None, reply.why_not)
            else:
                on_result(request.key, *parse_reply(request, reply.text))
