"""What goes into the model: nothing of the data is taken for a mark, and nothing is scored by half."""

from __future__ import annotations

from typing import Any

import pytest

from spa3d.contracts.dataset import Conversation, Round
from spa3d.errors import DataError


@pytest.mark.parametrize("mark", ["<point_patch>", "<point_start>", "</s>", "<s>", "<pad>"])
@pytest.mark.parametrize("where", ["question", "answer"])
def test_text_that_holds_a_mark_of_the_model_is_refused(toy: Any, mark: str, where: str) -> None:
    _, processor, _ = toy()
    texts = {"question": "What?", "answer": "A thing.", where: f"Look: {mark}!"}
    talk = Conversation("single_round", (Round(**texts),))
    with pytest.raises(DataError, match=f"'Look: {mark}!' holds '{mark}'"):
        processor.tokenise(talk, processor.opening("cloud"))


def test_other_markup_is_text_like_any_other(toy: Any) -> None:
    _, processor, _ = toy()
    text = "[/red]<script>|<point><|im_end|>\u2028 < s >"
    tokens = processor.tokenise(Conversation("single_round", (Round("What?", text),)), "")
    told = [label for label in tokens.labels if label >= 0]
    assert processor.tokenizer.decode(told) == f" {text}</s>"


def test_an_option_that_does_not_fit_is_not_scored_by_its_beginning(toy: Any) -> None:
    _, processor, _ = toy()
    prefix, tails = processor.option_ids("Which?", ("left", "right"), "cloud")
    processor.max_length = len(prefix) + max(map(len, tails))
    assert processor.option_ids("Which?", ("left", "right"), "cloud") == (prefix, tails)
    processor.max_length -= 1
    with pytest.raises(DataError, match=f"a question of {processor.max_length + 1} tokens; raise --llm.max_length"):
        processor.option_ids("Which?", ("left", "right"), "cloud")


def test_a_question_that_does_not_fit_is_not_asked_by_half(toy: Any) -> None:
    _, processor, _ = toy()
    processor.max_length = len(processor.question_ids("What is this?", "cloud")) - 1
    with pytest.raises(DataError, match=r"raise --llm\.max_length"):
        processor.question_ids("What is this?", "cloud")
