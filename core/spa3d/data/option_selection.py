"""Selection of the questions of a file that are about the records of a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spa3d.contracts.dataset import Dataset
from spa3d.data.option_questions import OptionQuestion
from spa3d.errors import DataError


def select_option_questions(
    questions: Sequence[OptionQuestion], dataset: Dataset, split: str, *, path: Path
) -> list[OptionQuestion]:
    """Select the questions about records of `split`, in their order.

    Questions about records of other splits are left out. So are those about records that the dataset lacks, with a
    note, if it skips bad data.

    Args:
        questions: of the file.
        dataset: the records.
        split: its split.
        path: the file, for messages.

    Raises:
        DataError: the dataset lacks records and stops at bad data.

    """
    there = {record.id for record in dataset.records(split)}
    selected = [question for question in questions if question.source in there]
    others = {question.source for question in questions} - there
    lacking = {source for source in others if not _has_record(dataset, source)}
    odd = [question.source for question in questions if question.source in lacking]
    if odd:
        message = (
            f"{path}: {len(odd)} of its {len(questions)} questions are about records that the dataset lacks, the first "
            f"is {odd[0]!r}"
        )
        if dataset.on_bad_data == "stop":
            raise DataError(f"{message}: choose their dataset, or --on-bad-data skip to leave these questions out")
        dataset.skip_log.note(f"{message}; they are left out")
    return selected


def _has_record(dataset: Dataset, record_id: str) -> bool:
    try:
        dataset.record(record_id)
    except (DataError, KeyError, ValueError, IndexError):
        return False
    return True
