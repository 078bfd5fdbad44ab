"""Replies of a local LM: greedy, independent of the batch, with its chat template."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spa3d.config.settings import LLMSettings
from spa3d.llm_clients.local import Reply, generate_replies
from spa3d.model.llm import make_llm

PROMPTS = ("It is red.", "It is a big red.", "It is so very red.")
TEMPLATE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"


@pytest.fixture
def lm() -> tuple[Any, Any]:
    """A tiny LLaMA with random weights, and its tokenizer."""
    torch.manual_seed(0)
    settings = LLMSettings(hidden_size=32, layers=1, heads=2, intermediate_size=32, vocab_size=300, max_length=256)
    llm, tokenizer, _ = make_llm(settings, lambda: iter(["a red chair with four legs"] * 3))
    return llm.eval(), tokenizer


def replies(lm: tuple[Any, Any], room: list[int], batch_size: int) -> dict[int, str | None]:
    result = list(generate_replies(*lm, PROMPTS, room, batch_size=batch_size))
    assert len({reply.index for reply in result}) == len(result)
    return {reply.index: reply.text for reply in result}


def test_a_reply_is_the_same_in_any_batch(lm: tuple[Any, Any]) -> None:
    """Replies share a beginning: how far a batch writes on depends on its longest reply."""
    alone, together = replies(lm, [16, 20, 24], 1), replies(lm, [16, 20, 24], 3)
    for index in range(3):
        one, other = alone[index], together[index]
        assert one
        assert other
        assert other.startswith(one)


def test_a_reply_has_no_more_tokens_than_allowed(lm: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = _note_inputs(lm[0], monkeypatch)
    replies(lm, [3, 50, 7], 2)
    assert [most for _, most in inputs] == [7, 50]


def test_the_chat_template_is_used_where_there_is_one(lm: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = lm
    inputs = _note_inputs(model, monkeypatch)
    replies(lm, [4, 4, 4], 1)
    assert [tokenizer.decode(ids[0]) for ids, _ in inputs] == [f"<s>{prompt}" for prompt in PROMPTS]
    tokenizer.chat_template = TEMPLATE
    inputs.clear()
    replies(lm, [4, 4, 4], 1)
    assert [tokenizer.decode(ids[0]) for ids, _ in inputs] == [f"[user]{prompt}[assistant]" for prompt in PROMPTS]


def test_generate_replies_skips_a_prompt_that_does_not_fit(lm: tuple[Any, Any]) -> None:
    first, *others = generate_replies(*lm, PROMPTS, [16, 300, 16], batch_size=3)
    assert first == Reply(1, None, "prompt and answer do not fit into the LM's 256 tokens")
    assert sorted(reply.index for reply in others) == [0, 2]
    assert all(reply.text is not None and not reply.why_not for reply in others)


def test_a_tokenizer_without_a_padding_token_pads_with_its_end_token(lm: tuple[Any, Any]) -> None:
    padded = replies(lm, [16, 16, 16], 3)
    lm[1].pad_token = None
    assert replies(lm, [16, 16, 16], 3) == padded


def _note_inputs(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Tensor, int]]:
    """Record (ids, most new tokens) of every batch."""
    noted: list[tuple[torch.Tensor, int]] = []
    generate = model.generate

    def note(**arguments: Any) -> Any:
        noted.append((arguments["input_ids"], arguments["max_new_tokens"]))
        return generate(**arguments)

    monkeypatch.setattr(model, "generate", note)
    return noted
