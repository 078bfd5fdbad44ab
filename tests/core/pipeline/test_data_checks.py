from dataclasses import replace
from typing import Any

import pytest

from spa3d.config.settings import TrainSettings
from spa3d.errors import DataError
from spa3d.pipeline.data_checks import check_relevance
from spa3d.registry.create import create


@pytest.fixture
def dataset() -> Any:
    return create("dataset", "shapes-smoke")


def test_check_relevance_refuses_a_share_without_effect(dataset: Any) -> None:
    bare = [replace(record, facts=()) for record in dataset.records("train")]
    alike = [replace(record, category="chair") for record in dataset.records("train")]
    for records, message in (
        (bare, "--train.relevance_share 0.3: 0 of the 64 training records have a category and a fact"),
        (alike, "64 of the 64 training records have a category and a fact with four options, of 1 categories"),
    ):
        with pytest.raises(DataError, match=message):
            check_relevance(dataset, TrainSettings(relevance_share=0.3), records)
        check_relevance(dataset, TrainSettings(), records)


def test_check_relevance_notes_records_without_questions(dataset: Any) -> None:
    first, *others = dataset.records("train")
    check_relevance(dataset, TrainSettings(relevance_share=0.3), [replace(first, category=None), *others])
    (note,) = dataset.skip_log.notes
    assert note.startswith("--train.relevance_share 0.3: 1 of 64 training records have no relevance question")
    dataset.skip_log.notes.clear()
    check_relevance(dataset, TrainSettings(relevance_share=0.3), dataset.records("train"))
    assert dataset.skip_log.notes == []
