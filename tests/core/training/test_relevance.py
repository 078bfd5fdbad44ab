from __future__ import annotations

from collections import Counter

import pytest

from spa3d.contracts.dataset import Dataset, Record
from spa3d.data.preference_pairs import Pair
from spa3d.data.questions import split_options
from spa3d.data.relevance import REFUSAL
from spa3d.registry.create import create
from spa3d.training.dataset import instructions
from spa3d.training.examples import TrainingExample, preference_example, sft_example
from spa3d.training.relevance import relevance_example


@pytest.fixture(scope="module")
def shapes() -> Dataset:
    return create("dataset", "shapes-smoke")


def draw(dataset: Dataset, share: float, epochs: int = 20, seed: int = 0) -> dict[tuple[str, int], TrainingExample]:
    records = dataset.records("train")
    example = relevance_example(
        sft_example(instructions(dataset, seed)), records, lambda record: record, share=share, seed=seed
    )
    return {(record.id, epoch): example(record, epoch) for epoch in range(epochs) for record in records}


def is_relevance(example: TrainingExample) -> bool:
    return example.chosen.kind == "relevance"


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_share_of_the_samples_become_relevance_questions(shapes: Dataset, share: float) -> None:
    made = draw(shapes, share)
    kinds = Counter(map(is_relevance, made.values()))
    deviation = (share * (1 - share) / len(made)) ** 0.5
    assert abs(kinds[True] / len(made) - share) <= 4 * deviation
    matching = [example for example in made.values() if is_relevance(example)]
    refused = sum(example.chosen.rounds[0].answer == REFUSAL for example in matching)
    assert abs(refused / len(matching) - 0.5) < 4 * (0.25 / len(matching)) ** 0.5


def test_refusal_is_right_with_a_cloud_that_lacks_the_part_alone(shapes: Dataset) -> None:
    for (record_id, _), example in draw(shapes, 1.0, epochs=3).items():
        (right,), (wrong,) = example.chosen.rounds, example.rejected.rounds if example.rejected else ((),)
        question, options = split_options(right.question)
        assert list(options.values())[-1] == REFUSAL
        assert right.question == wrong.question
        assert REFUSAL in (right.answer, wrong.answer)
        assert (example.record_id == record_id) == (right.answer != REFUSAL)
        mine, shown = shapes.record(record_id), shapes.record(example.record_id)
        matching = [
            fact for fact in mine.facts if question in (fact.question, f"About the {mine.category}: {fact.question}")
        ]
        assert matching[0].answer in (right.answer, wrong.answer)
        if example.record_id != record_id:
            assert shown.category != mine.category
            assert shown.category not in options.values()
            assert matching[0].subject not in {fact.subject for fact in shown.facts} - {""}


def test_draws_depend_on_seed_epoch_and_record_alone(shapes: Dataset) -> None:
    assert draw(shapes, 0.5, epochs=2) == draw(shapes, 0.5, epochs=2) != draw(shapes, 0.5, epochs=2, seed=1)
    more, fewer = (
        {name for name, example in draw(shapes, share, epochs=2).items() if is_relevance(example)}
        for share in (0.5, 0.2)
    )
    assert fewer < more


def test_share_of_0_changes_nothing(shapes: Dataset) -> None:
    plain = sft_example(instructions(shapes, 0))
    assert draw(shapes, 0.0, epochs=2) == {
        (record.id, epoch): plain(record, epoch) for epoch in range(2) for record in shapes.records("train")
    }


def test_preference_pairs_get_a_chosen_and_a_rejected_answer(shapes: Dataset) -> None:
    records = shapes.records("train")
    pairs = [Pair(record.id, "What is this?", "A chair.", "A lamp.") for record in records]
    example = relevance_example(
        preference_example, records, lambda pair: shapes.record(pair.record_id), share=0.5, seed=0
    )
    made = [example(pair, 0) for pair in pairs]
    assert Counter(each.chosen.kind for each in made).keys() == {"pair", "relevance"}
    assert all(each.rejected is not None and each.rejected != each.chosen for each in made)


def test_records_without_questions_keep_their_conversation(shapes: Dataset) -> None:
    alike: list[Record] = [record for record in shapes.records("train") if record.category == "chair"]
    plain = sft_example(instructions(shapes, 0))
    example = relevance_example(plain, alike, lambda record: record, share=1.0, seed=0)
    assert [example(record, 0) for record in alike] == [plain(record, 0) for record in alike]
