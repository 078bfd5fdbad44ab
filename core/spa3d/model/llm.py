"""The causal LM of a base: loaded by path, or a small LLaMA made fresh with a tokenizer of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    PreTrainedConfig,
)

from spa3d.config.settings import LLMSettings
from spa3d.errors import CheckpointError
from spa3d.model.special_tokens import point_tokens
from spa3d.model.tokenizer import add_point_tokens, train_tokenizer


def llm_config(settings: LLMSettings, vocab_size: int = 0) -> PreTrainedConfig:
    """Configuration of the LLM at a path, or of a fresh LLaMA with `vocab_size` tokens (0: the largest allowed)."""
    if settings.path:
        try:
            return AutoConfig.from_pretrained(settings.path)
        except (OSError, ValueError) as fault:
            raise _not_loadable(settings.path, fault) from fault
    return LlamaConfig(
        vocab_size=vocab_size or settings.vocab_size,
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=settings.max_length,
    )


def make_llm(settings: LLMSettings, texts: Callable[[], Iterator[str]]) -> tuple[Any, Any, list[int]]:
    """A causal LM, its tokenizer and the ids of the point tokens.

    Loaded from a path and given the tokens it lacks, or made fresh with a tokenizer trained on `texts`.
    """
    if settings.path:
        try:
            llm: Any = AutoModelForCausalLM.from_pretrained(settings.path)
            tokenizer: Any = AutoTokenizer.from_pretrained(settings.path)
        except (OSError, ValueError) as fault:
            raise _not_loadable(settings.path, fault) from fault
        ids = add_point_tokens(tokenizer, point_tokens(settings))
        if len(tokenizer) > llm.get_input_embeddings().num_embeddings:
            llm.resize_token_embeddings(len(tokenizer))
        return llm, tokenizer, ids
    tokenizer = train_tokenizer(texts(), vocab_size=settings.vocab_size)
    ids = add_point_tokens(tokenizer, point_tokens(settings))
    config = llm_config(settings, len(tokenizer))
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config, name, getattr(tokenizer, name))
    return AutoModelForCausalLM.from_config(config), tokenizer, ids


def _not_loadable(path: str, fault: Exception) -> CheckpointError:
    return CheckpointError(
        f"--llm {path}: transformers cannot load a causal LM from there ({fault}); give a folder with config.json, "
        f"weights and tokenizer, or the preset tiny"
    )
