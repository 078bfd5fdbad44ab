"""Order of samples: a pure function of seed and position."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from spa3d.errors import DataError
from spa3d.inference.samples import Sample
from spa3d.model.tokens import IGNORED
from spa3d.training.dataset import TrainingDataset, captions, instructions
from spa3d.training.examples import sft_example, tokenize_example


def bare(record: Any, epoch: int) -> Sample:
    return Sample(record.id, epoch, {})


def test_each_epoch_meets_every_record_once_in_its_own_order(toy_dataset: Any) -> None:
    records = toy_dataset.records("train")
    stream = TrainingDataset(records, 24, 0, bare)
    seen = [stream[i] for i in range(24)]
    for epoch in range(3):
        part = seen[8 * epoch : 8 * epoch + 8]
        assert {sample.epoch for sample in part} == {epoch}
        assert sorted(sample.record_id for sample in part) == sorted(record.id for record in records)
    assert [s.record_id for s in seen[:8]] != [s.record_id for s in seen[8:16]]
    assert stream[13] == TrainingDataset(records, 24, 0, bare)[13]


def test_another_seed_gives_another_order(toy_dataset: Any) -> None:
    records = toy_dataset.records("train")
    first, second = (TrainingDataset(records, 8, seed, bare) for seed in (0, 1))
    assert [first[i].record_id for i in range(8)] != [second[i].record_id for i in range(8)]


def test_training_dataset_without_records_is_a_data_error() -> None:
    with pytest.raises(DataError, match="empty"):
        TrainingDataset([], 8, 0, bare)


def test_labels_cover_the_answers_and_the_end_token_of_every_round(toy: Any, toy_dataset: Any) -> None:
    _, processor, _ = toy()
    record = toy_dataset.record("train-3")
    sample = tokenize_example(
        processor, sft_example(instructions(toy_dataset, 0)), [("chosen", "cloud"), ("chosen", "blind")]
    )(record, 0)
    for view, patches in (("cloud", 4), ("blind", 0)):
        tokens = sample.texts["chosen", view]
        answers: dict[int, list[int]] = {}
        for label, number in zip(tokens.labels, tokens.rounds, strict=True):
            assert (label == IGNORED) == (number == -1)
            if number >= 0:
                answers.setdefault(number, []).append(label)
        texts = [processor.tokenizer.decode(ids) for ids in answers.values()]
        assert texts == [" left</s>", " It is 3.</s>"]
        assert Counter(tokens.ids)[processor.tokenizer.convert_tokens_to_ids("<point_patch>")] == patches


def test_captions_are_the_conversations_of_alignment(toy_dataset: Any) -> None:
    assert captions(toy_dataset.record("train-2"), 5).rounds[0].answer == "A thing number 2 on the right."


def test_a_prompt_that_leaves_no_answer_token_is_refused(toy: Any, toy_dataset: Any) -> None:
    _, processor, _ = toy()
    processor.max_length = 8
    with pytest.raises(DataError, match=r"train-2.*max_length"):
        tokenize_example(processor, sft_example(captions), [("chosen", "cloud")])(toy_dataset.record("train-2"), 0)
