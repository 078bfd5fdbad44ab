"""Vocabulary of a loaded LLM: a tokenizer that fits its embeddings, and rows of new tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from spa3d.errors import CheckpointError
from spa3d.model.special_tokens import special_tokens_of
from spa3d.model.tokenizer import EOS, add_point_tokens


def refuse_misfit(llm: Any, tokenizer: Any, where: str) -> None:
    """Refuse a tokenizer with tokens that the embeddings have no rows for.

    Args:
        llm: a causal LM; its weights may be on the meta device.
        tokenizer: its tokenizer.
        where: beginning of the error message.

    Raises:
        CheckpointError: the largest token id is no row of the embeddings.

    """
    rows = int(llm.get_input_embeddings().num_embeddings)
    token, last = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if last >= rows:
        raise CheckpointError(
            f"{where}: its tokenizer has ids up to {last} (the token {token[:40]!r}), and its embeddings have {rows} "
            "rows: they are not of one LLM, or tokens were added without resizing the embeddings; give the tokenizer "
            "that belongs to the weights"
        )


def add_tokens(llm: Any, tokenizer: Any, names: Sequence[str], *, end: bool) -> list[int]:
    """Add the point tokens `names` where they are missing; return their ids in that order.

    New tokens get the mean of the rows of all earlier ones, in the input and in the output table (as in PointLLM).
    Rows that pad the vocabulary beyond the tokenizer are used first; then the tables grow.

    Args:
        llm: a causal LM.
        tokenizer: its tokenizer.
        names: the point tokens.
        end: give the tokenizer an end token if it has none: the LLM's own one, or a new one.

    """
    known = {*tokenizer.get_vocab().values()}
    if end and tokenizer.eos_token is None:
        _add_end_token(llm, tokenizer)
    ids = add_point_tokens(tokenizer, names)
    vocabulary = {*tokenizer.get_vocab().values()}
    if max(vocabulary) >= llm.get_input_embeddings().num_embeddings:
        llm.resize_token_embeddings(max(vocabulary) + 1, mean_resizing=False)
    new = sorted(vocabulary - known)
    if new:
        _set_to_mean(llm, max(known) + 1, new)
    return ids


def _add_end_token(llm: Any, tokenizer: Any) -> None:
    """Give the tokenizer the end token of the LLM, if that is a special token, or a new one."""
    own = llm.generation_config.eos_token_id
    ids = own if isinstance(own, list) else [own]
    known = tokenizer.get_vocab().values()
    tokens = [tokenizer.convert_ids_to_tokens(number) for number in ids if number in known]
    special = [token for token in tokens if token in special_tokens_of(tokenizer)]
    tokenizer.add_special_tokens({"eos_token": [*special, EOS][0]})


def _set_to_mean(llm: Any, count: int, new: Sequence[int]) -> None:
    """Set the rows `new` of the input and output table to the mean of the first `count`."""
    head = llm.get_output_embeddings()
    tables = [llm.get_input_embeddings().weight, head.weight, getattr(head, "bias", None)]
    with torch.no_grad():
        for table in tables:
            if table is not None:
                table[list(new)] = table[:count].mean(dim=0, dtype=torch.float32).to(table.dtype)
