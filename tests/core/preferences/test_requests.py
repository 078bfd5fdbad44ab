"""Requests: one question per record, in training order; lists are prefixes of longer ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from spa3d.contracts.dataset import Conversation, Round
from spa3d.data.ordering import order
from spa3d.preferences.requests import draw_requests


def test_draw_requests_has_the_order_of_training(toy_dataset: Any) -> None:
    records = toy_dataset.records("train")
    drawn = draw_requests(toy_dataset, records, seed=3, limit=8, with_cloud=True)
    assert [one.record.id for one in drawn] == [records[i].id for i in order(8, 0, 3)]
    assert drawn[:5] == draw_requests(toy_dataset, records, seed=3, limit=5, with_cloud=True)
    assert len({one.key for one in drawn}) == 8
    assert drawn != draw_requests(toy_dataset, records, seed=4, limit=8, with_cloud=True)


def test_every_round_is_as_likely_and_brings_its_own_answer(toy_dataset: Any) -> None:
    drawn = [
        one
        for seed in range(60)
        for one in draw_requests(toy_dataset, toy_dataset.records("train"), seed=seed, limit=8, with_cloud=True)
    ]
    counts = Counter(one.question for one in drawn)
    assert set(counts) == {"Describe it.", "Which side?", "Which number?"}
    assert all(120 < count < 200 for count in counts.values())  # 160 each are expected; 40 is 3.9 deviations
    rounds = [
        one
        for record in toy_dataset.records("train")
        for conversation in record.conversations
        for one in conversation.rounds
    ]
    assert {Round(one.question, one.answer) for one in drawn} == set(rounds)


def test_draw_requests_leaves_text_only_conversations_out(toy_dataset: Any) -> None:
    silent = Conversation("single_round", (Round("What is a chair?", "A seat."),), has_cloud=False)
    mixed, bare = (
        replace(record, conversations=conversations)
        for record, conversations in zip(
            toy_dataset.records("train")[:2],
            ((silent, Conversation("single_round", (Round("Which side?", "left"),))), (silent,)),
            strict=True,
        )
    )
    drawn = draw_requests(toy_dataset, [mixed, bare], seed=0, limit=8, with_cloud=True)
    assert [(one.record.id, one.question, one.has_cloud) for one in drawn] == [(mixed.id, "Which side?", True)]
    drawn = draw_requests(toy_dataset, [bare], seed=0, limit=8, with_cloud=False)
    assert [(one.question, one.has_cloud) for one in drawn] == [("What is a chair?", False)]
