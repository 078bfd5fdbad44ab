"""Vocabulary of a loaded LLM: rows of new tokens, and tokenizers that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GPTJConfig, LlamaConfig

from spa3d.errors import CheckpointError
from spa3d.model.tokenizer import train_tokenizer
from spa3d.model.vocabulary import add_tokens, refuse_misfit

NAMES = ["<point_start>", "<point_patch>", "<point_end>"]


def make_tokenizer(**tokens: Any) -> Any:
    tokenizer = train_tokenizer(iter(["a red chair"] * 3), vocab_size=300)
    for name, token in tokens.items():
        setattr(tokenizer, name, token)
    return tokenizer


def make_llm(rows: int, *, tied: bool = False) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=rows,
        tie_word_embeddings=tied,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("padding", [0, 2, 9])
def test_add_tokens_gives_new_rows_the_mean_of_the_others(tied: bool, padding: int) -> None:
    """Also where the vocabulary is padded beyond the tokenizer, so that fewer rows are added."""
    tokenizer = make_tokenizer()
    count = len(tokenizer)
    llm = make_llm(count + padding, tied=tied)
    before = [llm.get_input_embeddings().weight.clone(), llm.get_output_embeddings().weight.clone()]
    ids = add_tokens(llm, tokenizer, NAMES, end=True)
    assert ids == [count, count + 1, count + 2]
    after = [llm.get_input_embeddings().weight, llm.get_output_embeddings().weight]
    assert (after[0] is after[1]) is tied
    for old, new in zip(before, after, strict=True):
        assert len(new) == llm.config.vocab_size == max(count + padding, count + 3)
        assert torch.equal(new[:count], old[:count])
        assert torch.equal(new[count + 3 :], old[count + 3 :])
        torch.testing.assert_close(new[ids], old[:count].mean(dim=0).expand(3, -1))


def test_add_tokens_leaves_known_tokens_as_they_are() -> None:
    tokenizer = make_tokenizer()
    llm = make_llm(len(tokenizer))
    ids = add_tokens(llm, tokenizer, NAMES, end=True)
    with torch.no_grad():
        llm.get_input_embeddings().weight[ids] = 7.0
    before = llm.get_input_embeddings().weight.clone()
    assert add_tokens(llm, tokenizer, NAMES, end=True) == ids
    assert torch.equal(llm.get_input_embeddings().weight, before)


def test_add_tokens_sets_the_bias_of_the_projection_too() -> None:
    tokenizer = make_tokenizer()
    config = GPTJConfig(n_embd=16, n_layer=1, n_head=2, rotary_dim=4, n_positions=64, vocab_size=len(tokenizer))
    llm: Any = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        llm.lm_head.bias.copy_(torch.arange(float(len(tokenizer))))
    ids = add_tokens(llm, tokenizer, NAMES, end=True)
    assert llm.lm_head.bias[ids].tolist() == [(len(tokenizer) - 4) / 2] * 3


@pytest.mark.parametrize(
    ("own", "expected"), [(2, "</s>"), ([9, 1], "<s>"), (9, "</s>"), (None, "</s>"), (999, "</s>")]
)
def test_add_tokens_gives_a_tokenizer_without_end_token_one(own: Any, expected: str) -> None:
    """That of the LLM, if it is a special token; else a new one."""
    tokenizer = make_tokenizer()
    tokenizer._special_tokens_map["eos_token"] = None
    llm = make_llm(len(tokenizer))
    llm.generation_config.eos_token_id = own
    add_tokens(llm, tokenizer, NAMES, end=True)
    assert tokenizer.eos_token == expected


def test_add_tokens_adds_no_end_token_for_a_chat_template() -> None:
    tokenizer = make_tokenizer(eos_token=None)
    add_tokens(make_llm(len(tokenizer)), tokenizer, NAMES, end=False)
    assert tokenizer.eos_token is None


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_refuse_misfit_names_the_largest_token(device: str) -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["<one too many>"])
    with torch.device(device):
        llm = make_llm(len(tokenizer) - 1)
    message = rf"^--llm x: its tokenizer has ids up to {len(tokenizer) - 1} \(the token '<one too many>'\), and its emb"
    with pytest.raises(CheckpointError, match=message):
        refuse_misfit(llm, tokenizer, "--llm x")
    refuse_misfit(make_llm(len(tokenizer)), tokenizer, "--llm x")
