"""Causal LMs: loaded from a path, or a small new LLaMA with a new tokenizer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    LlamaConfig,
    PreTrainedConfig,
)
from transformers.cache_utils import LinearAttentionCacheLayerMixin

from spa3d.config.hub_ids import is_hub_id
from spa3d.config.pointllm_parts import MODEL_TYPE, read_config
from spa3d.config.settings import LLMSettings
from spa3d.errors import CheckpointError
from spa3d.model.chat_templates import chat_end
from spa3d.model.finite import refuse_not_finite
from spa3d.model.foreign_folders import SAFELY, foreign_folder, refuse_partial
from spa3d.model.special_tokens import point_tokens, special_tokens_of
from spa3d.model.tokenizer import BOS, EOS, PAD, add_point_tokens, train_tokenizer
from spa3d.model.vocabulary import add_tokens, refuse_misfit

PRESET = "the preset tiny"
"""Names that ``--llm`` takes beside a path."""
SLOW = "its tokenizer does not say where its tokens stand in a text (a slow tokenizer); a tokenizer.json is needed"
CHECKED: dict[str, Any] = {"output_loading_info": True, "ignore_mismatched_sizes": True}
"""Arguments with which transformers says which weights did not fit, instead of drawing them in silence."""


def llm_config(settings: LLMSettings, vocab_size: int = 0) -> PreTrainedConfig:
    """Configuration of the LLM at a path, or of a new LLaMA of `vocab_size` tokens (0: most)."""
    if settings.path:
        with _llm_folder(settings.path, "--llm", PRESET, weights=False) as folder:
            return AutoConfig.from_pretrained(folder, **SAFELY)
    return LlamaConfig(
        vocab_size=vocab_size or settings.vocab_size,
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=settings.max_length,
    )


def embedding_width(config: PreTrainedConfig) -> int:
    """Width of the token embeddings of an LLM; some have narrower ones than their hidden states."""
    return int(_build_on_meta(config).get_input_embeddings().embedding_dim)


def max_positions(config: PreTrainedConfig) -> int | None:
    """Number of positions of an LLM; None if its configuration names none."""
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def takes(llm: Any, argument: str) -> bool:
    """Whether the forward of an LLM names `argument`; others it may take and ignore."""
    return argument in inspect.signature(llm.forward).parameters


def keeps_keys_and_values(llm: Any) -> bool:
    """Whether the cache of an LLM holds keys and values alone, which several answers can share.

    A recurrent state goes on token by token only.
    """
    cache = DynamicCache(config=llm.config.get_text_config(decoder=True))
    states = any(isinstance(layer, LinearAttentionCacheLayerMixin) for layer in cache.layers)
    return takes(llm, "past_key_values") and not states


def stop_ids(llm: Any, *more: int | None) -> list[int]:
    """Token ids that stop a generation: those of the LLM's generation config, and `more`."""
    own = llm.generation_config.eos_token_id
    return sorted({*(own if isinstance(own, list) else [own]), *more} - {None})


def find_reply_stops(llm: Any, tokenizer: Any) -> list[int]:
    """Token ids that end a reply: those of the LLM, of its tokenizer and of its chat template."""
    ends = [tokenizer.eos_token_id]
    with suppress(CheckpointError):  # there is no template, or none that ends a turn
        ends.append(tokenizer.convert_tokens_to_ids(chat_end(tokenizer)))
    return stop_ids(llm, *ends)


def make_llm(settings: LLMSettings, texts: Callable[[], Iterator[str]]) -> tuple[Any, Any, list[int]]:
    """Make a causal LM, its tokenizer and the ids of the point tokens.

    The LM is loaded from a path and missing point tokens are added, or it is new, with a tokenizer trained on `texts`.
    """
    if settings.path:
        llm, tokenizer = load_causal_lm(settings.path, flag="--llm", alternative=PRESET)
        ids = add_tokens(llm, tokenizer, point_tokens(settings), end=settings.template != "chat")
        return llm, tokenizer, ids
    tokenizer = train_tokenizer(texts(), vocab_size=settings.vocab_size)
    ids = add_point_tokens(tokenizer, point_tokens(settings))
    config = llm_config(settings, len(tokenizer))
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config, name, getattr(tokenizer, name))
    return AutoModelForCausalLM.from_config(config, trust_remote_code=False), tokenizer, ids


def load_causal_lm(path: str, *, flag: str, alternative: str) -> tuple[Any, Any]:
    """Load a causal LM, in the dtype of its files, and its tokenizer.

    Args:
        path: folder of the LM, or its id on the hub.
        flag: the setting with the path, for the error message.
        alternative: other possible values of the setting, for the error message.

    Raises:
        CheckpointError: there is no causal LM that transformers can load without code of its own, or some of its
            weights are missing, NaN or infinite.

    """
    with _llm_folder(path, flag, alternative, weights=True) as folder:
        loaded: Any = AutoModelForCausalLM.from_pretrained(folder, **SAFELY, **CHECKED)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, **SAFELY)
    llm, info = loaded
    refuse_partial(info, f"{flag} {path}: its weights are not those of its config.json")
    refuse_misfit(llm, tokenizer, f"{flag} {path}")
    refuse_not_finite(llm, f"{flag} {path}")
    return llm, tokenizer


def special_tokens(settings: LLMSettings) -> set[str]:
    """Special tokens of the 3D LLM of `settings`, which no text of the data may contain."""
    names = {*point_tokens(settings)}
    if not settings.path:
        return names | {BOS, EOS, PAD}
    with _llm_folder(settings.path, "--llm", PRESET, weights=False) as folder:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, **SAFELY)
    return names | special_tokens_of(tokenizer)


def check_causal_lm(path: str, *, flag: str, alternative: str) -> tuple[Any, Any]:
    """Raise the errors of `load_causal_lm` without reading the values of the weights.

    Of an LLM on the hub only the settings are checked, because the rest may not have been downloaded.

    Returns:
        The LLM on the meta device, and its tokenizer.

    """
    with _llm_folder(path, flag, alternative, weights=False) as folder:
        config = AutoConfig.from_pretrained(folder, **SAFELY)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, **SAFELY)
        if is_hub_id(path):
            llm, info = _build_on_meta(config), {"missing_keys": (), "unexpected_keys": (), "mismatched_keys": ()}
        else:
            loaded: Any = AutoModelForCausalLM.from_pretrained(folder, device_map="meta", **SAFELY, **CHECKED)
            llm, info = loaded
    refuse_partial(info, f"{flag} {path}: its weights are not those of its config.json")
    refuse_misfit(llm, tokenizer, f"{flag} {path}")
    return llm, tokenizer


def check_llm(path: str) -> None:
    """Raise the errors of an LLM of ``--llm`` that show before its weights are read.

    Raises:
        CheckpointError: those of `check_causal_lm`, a decoder that takes no embeddings, or a slow tokenizer.

    """
    llm, tokenizer = check_causal_lm(path, flag="--llm", alternative=PRESET)
    if not takes(llm, "inputs_embeds"):
        raise CheckpointError(
            f"--llm {path}: a cloud reaches an LLM as embeddings, and a {type(llm).__name__} takes token ids alone; "
            "choose another LLM"
        )
    if not tokenizer.is_fast:
        raise CheckpointError(f"--llm {path}: {SLOW}")


def _build_on_meta(config: PreTrainedConfig) -> Any:
    """Build an LLM without memory for its weights."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def _llm_folder(path: str, flag: str, alternative: str, *, weights: bool) -> AbstractContextManager[Path]:
    hint = f"give a folder with config.json, weights and tokenizer, or {alternative}"
    alone = (Path(path) / "tokenizer.model").is_file() and not (Path(path) / "tokenizer.json").is_file()
    if alone and find_spec("sentencepiece") is None:
        hint = f"if it is its tokenizer.model, pip install sentencepiece protobuf; else {hint}"
    if (Path(path) / "config.json").is_file() and read_config(Path(path)).get("model_type") == MODEL_TYPE:
        hint = "it is a PointLLM, encoder and LLM in one; give it as --base"
    return foreign_folder(
        path,
        weights=weights,
        where=f"{flag} {path}",
        problem="transformers cannot load a causal LM from there",
        hint=hint,
    )
