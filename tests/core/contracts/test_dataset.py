"""A record's caption and cloud follow from its conversations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spa3d.contracts.dataset import CAPTION, Conversation, Record, Round

LAMP = Round("What is this?", "A lamp.")
QUESTION = Conversation("single_round", (Round("Is it big?", "No."),))


def record(*conversations: Conversation) -> Record:
    return Record("a", "a", "a", lambda: np.zeros((1, 6), dtype=np.float32), conversations)


def test_caption_is_that_of_a_conversation_about_the_cloud() -> None:
    caption = Conversation(CAPTION, (LAMP,))
    assert record(QUESTION, caption).caption_round == LAMP
    assert record(QUESTION, caption).caption == "A lamp."
    assert record(QUESTION).caption_round is None
    text_only = Conversation(CAPTION, (Round("What is a lamp?", "A source of light."),), has_cloud=False)
    assert record(text_only).caption is None
    assert record(text_only, caption).caption == "A lamp."


def test_has_cloud_is_false_where_every_conversation_is_text_only() -> None:
    assert record(QUESTION).has_cloud
    assert record(replace(QUESTION, has_cloud=False), QUESTION).has_cloud
    assert not record(replace(QUESTION, has_cloud=False)).has_cloud
