"""The small tokenizer knows every byte and makes one token of a frequent word."""

from __future__ import annotations

import pytest

from spa3d.model.tokenizer import add_point_tokens, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["A red chair with a red seat."] * 50, vocab_size=400)


@pytest.mark.parametrize("text", ["a red chair", "Δx → 語 🪑\n\t[/red]<script>|", "", " leading and trailing "])
def test_any_text_survives_without_an_unknown_token(tokenizer, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert tokenizer.unk_token_id is None or tokenizer.unk_token_id not in ids


def test_a_frequent_word_is_one_token(tokenizer) -> None:
    assert len(tokenizer(" red", add_special_tokens=False)["input_ids"]) == 1


def test_point_tokens_are_added_once(tokenizer) -> None:
    names = ["<point_start>", "<point_patch>", "<point_end>"]
    first = add_point_tokens(tokenizer, names)
    assert add_point_tokens(tokenizer, names) == first
    assert tokenizer("<point_patch>" * 3, add_special_tokens=False)["input_ids"] == [first[1]] * 3
