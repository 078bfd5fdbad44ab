"""Causal LMs: loaded from a path, or a small new LLaMA with a new tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
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

PRESET = "the preset tiny"
"""Names that ``--llm`` takes beside a path."""


def llm_config(settings: LLMSettings, vocab_size: int = 0) -> PreTrainedConfig:
    """Configuration of the LLM at a path, or of a new LLaMA of `vocab_size` tokens (0: most)."""
    if settings.path:
        try:
            return AutoConfig.from_pretrained(settings.path)
        except (OSError, ValueError) as error:
            raise _load_error("--llm", settings.path, str(error), alternative=PRESET) from error
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
    """Make a causal LM, its tokenizer and the ids of the point tokens.

    The LM is loaded from a path and missing point tokens are added, or it is new, with a tokenizer trained on `texts`.
    """
    if settings.path:
        llm, tokenizer = load_causal_lm(settings.path, flag="--llm", alternative=PRESET)
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


def load_causal_lm(path: str, *, flag: str, alternative: str, brief: bool = False) -> tuple[Any, Any]:
    """Load a causal LM, in the dtype of its files, and its tokenizer.

    Args:
        path: folder or hub name of the LM.
        flag: the setting with the path, for the error message.
        alternative: other possible values of the setting, for the error message.
        brief: quote only the first line of transformers' error.

    Raises:
        CheckpointError: transformers cannot load a causal LM from there.

    """
    try:
        llm: Any = AutoModelForCausalLM.from_pretrained(path)
        tokenizer: Any = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        reason = str(error)
        if brief:
            missing = Path(path).is_absolute() and not Path(path).exists()
            reason = "there is no such folder" if missing else reason.strip().partition("\n")[0]
        raise _load_error(flag, path, reason, alternative=alternative) from error
    return llm, tokenizer


def _load_error(flag: str, path: str, reason: str, *, alternative: str) -> CheckpointError:
    return CheckpointError(
        f"{flag} {path}: transformers cannot load a causal LM from there ({reason}); give a folder with config.json, "
        f"weights and tokenizer, or {alternative}"
    )
