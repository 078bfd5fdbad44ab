"""Every finding about a data set is provoked, and a good data set has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spa3d.contracts.dataset import CAPTION, Conversation, Dataset, Record, Round
from spa3d.data.doctor.findings import KINDS, Finding
from spa3d.data.doctor.set_facts import survey
from spa3d.data.doctor.set_findings import judge_set
from spa3d.data.formats.contract import Cloud
from spa3d.errors import DataError

COUNTS = {"train": 24, "val": 3, "test": 21}


def make_record(make_table: Callable[..., Cloud], split: str, index: int) -> Record:
    seed = index + {"train": 0, "val": 1000, "test": 2000}[split]

    def load() -> np.ndarray:
        cloud = make_table(500, seed)
        assert cloud.colors is not None
        return np.concatenate([cloud.points, cloud.colors], axis=1, dtype=np.float32)

    name = f"{split}-{index}"
    rounds = (Round("How many legs?", "four" if index % 3 == 0 else f"it has {index}"),)
    texts = (Conversation(CAPTION, (Round("What is this?", f"Table number {seed}."),)), Conversation("single", rounds))
    return Record(name, name, name, load, texts)


class Listed(Dataset):
    """Records that are given by split."""

    def __init__(self, records: dict[str, list[Record]]) -> None:
        super().__init__(on_bad_data="skip")
        self.listed = records

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.listed)

    def records(self, split: str) -> Sequence[Record]:
        return self.listed[split]

    def record(self, record_id: str) -> Record:
        return next(record for records in self.listed.values() for record in records if record.id == record_id)

    def fingerprint(self) -> str:
        return "listed"


@pytest.fixture
def splits(make_table: Callable[..., Cloud]) -> dict[str, list[Record]]:
    return {split: [make_record(make_table, split, index) for index in range(count)] for split, count in COUNTS.items()}


def judge(dataset: Dataset, floors: dict[str, Any] | None = None, **settings: Any) -> dict[str, Finding]:
    facts = survey(dataset, "listed", **{"count": 1000, **settings})
    return {finding.kind: finding for finding in judge_set(facts, floors or {})}


def change(splits: dict[str, list[Record]], split: str, rows: slice, **values: Any) -> dict[str, list[Record]]:
    """Replace fields of some records; functions get the record."""
    splits[split][rows] = [
        replace(record, **{name: value(record) for name, value in values.items()}) for record in splits[split][rows]
    ]
    return splits


def edit_cloud(edit: Callable[[np.ndarray], np.ndarray]) -> Callable[[Record], Callable[[], np.ndarray]]:
    return lambda record: lambda: edit(record.load())


def caption(text: str) -> Callable[[Record], tuple[Conversation, ...]]:
    return lambda record: (Conversation(CAPTION, (Round("What is this?", text),)),)


def refuse() -> np.ndarray:
    raise DataError("bad.npy: truncated")


Splits = dict[str, list[Record]]
PROVOKED: dict[str, Callable[[Splits], Splits]] = {
    "unreadable": lambda splits: change(splits, "train", slice(0, 1), load=lambda record: refuse),
    "empty-split": lambda splits: {name: records for name, records in splits.items() if name != "val"},
    "same-id": lambda splits: change(splits, "val", slice(0, 1), id=lambda record: "train-3"),
    "same-group": lambda splits: change(splits, "test", slice(0, 1), group=lambda record: "train-3"),
    "same-cloud": lambda splits: change(splits, "test", slice(0, 1), load=lambda record: splits["train"][3].load),
    "repeated-cloud": lambda splits: change(splits, "train", slice(0, 2), load=lambda record: splits["train"][3].load),
    "empty-text": lambda splits: change(splits, "train", slice(0, 1), conversations=caption(" ")),
    "long-text": lambda splits: change(splits, "train", slice(0, 1), conversations=caption("word " * 1000)),
    "common-caption": lambda splits: change(splits, "train", slice(0, 4), conversations=caption("A table.")),
    "answer-prior": lambda splits: change(
        splits,
        "test",
        slice(0, 24),
        conversations=lambda record: (Conversation("single", (Round("How many  legs?", "Four"),)),),
    ),
    "mixed-color": lambda splits: change(
        splits,
        "train",
        slice(0, 5),
        has_color=lambda record: False,
        load=edit_cloud(lambda cloud: cloud * (1, 1, 1, 0, 0, 0)),
    ),
    "mixed-scale": lambda splits: change(
        splits, "train", slice(0, 1), load=edit_cloud(lambda cloud: cloud * (2000, 2000, 2000, 1, 1, 1))
    ),
    "mixed-size": lambda splits: change(splits, "train", slice(0, 1), load=edit_cloud(lambda cloud: cloud[:40])),
    "mixed-up-axis": lambda splits: change(
        splits, "train", slice(0, 12), load=edit_cloud(lambda cloud: cloud[:, (2, 0, 1, 3, 4, 5)])
    ),
    "set-up-axis": lambda splits: {
        name: change(splits, name, slice(0, 24), load=edit_cloud(lambda cloud: cloud[:, (2, 0, 1, 3, 4, 5)]))[name]
        for name in COUNTS
    },
}  # fmt: skip


OF_CLOUDS = {kind for kind in PROVOKED if kind.startswith("mixed")} | {
    "unreadable", "same-cloud", "repeated-cloud", "set-up-axis"
}  # fmt: skip
"""Kinds whose clouds must be read."""


def test_every_kind_is_provoked() -> None:
    examined_alone = {"no-data-set"}  # of files, in tests/core/pipeline/test_doctor.py
    assert PROVOKED.keys() | examined_alone == {kind for kind, row in KINDS.items() if row.subject == "data set"}


def test_a_good_data_set_has_no_finding(splits: Splits) -> None:
    assert judge(Listed(splits)) == {}


@pytest.mark.parametrize("kind", PROVOKED)
def test_finding_is_reported(kind: str, splits: Splits) -> None:
    there = judge(Listed(PROVOKED[kind](splits)), count=1000 if kind in OF_CLOUDS else 1)
    assert kind in there
    allowed = {"mixed-size": "few-points", "mixed-color": "no-color"}
    assert set(there) <= {kind, allowed.get(kind)}, "one change, one finding"


@pytest.mark.parametrize(
    ("kind", "seen", "example"),
    [
        ("same-cloud", "1 cloud with the same points in two splits", "train-3 (train) = test-0 (test)"),
        ("common-caption", "train: 4 of 24 records have the caption 'A table.'", "'A table.': 4"),
        ("unreadable", "1 record or entries cannot be used", "bad.npy: truncated"),
        ("answer-prior", "1 question whose most common training", "'How many  legs?' → 'four': 100% of 21"),
    ],
)
def test_sentences_have_figures_and_examples(kind: str, seen: str, example: str, splits: Splits) -> None:
    finding = judge(Listed(PROVOKED[kind](splits)))[kind]
    assert finding.seen.startswith(seen)
    assert finding.examples[0] == example


def test_a_sample_says_how_many_clouds_were_read(splits: Splits) -> None:
    facts = survey(Listed(splits), "listed", count=9)
    assert (len(facts.clouds), facts.clouds_of) == (9, 48)
    again = survey(Listed(splits), "listed", count=9)
    assert [each.record_id for each in again.clouds] == [each.record_id for each in facts.clouds]
    other = survey(Listed(splits), "listed", count=9, seed=1)
    assert [each.record_id for each in other.clouds] != [each.record_id for each in facts.clouds]
    assert facts.texts["train"].records == 24, "all texts are read"


def test_priors_are_those_of_the_training_text(splits: Splits) -> None:
    """One third of the training answers is "four", and so is one third of the test answers."""
    facts = survey(Listed(splits), "listed", count=1)
    legs = next(prior for prior in facts.priors if prior.question == "How many legs?")
    assert (legs.answers, legs.guess) == (21, "four")
    assert legs.share == pytest.approx(7 / 21)


def test_scores_without_clouds_are_judged_by_the_best_source(splits: Splits) -> None:
    floors = {"choice": {"questions": 100.0, "chance": 0.25, "text-table": 0.4, "majority": 0.62}}
    finding = judge(Listed(splits), floors, count=1)["answer-prior"]
    assert finding.seen == "benchmark choice: the training text alone (majority) scores 62.0%, chance 25.0%"
    floors["choice"]["majority"] = 0.3
    assert "answer-prior" not in judge(Listed(splits), floors, count=1)


def test_findings_of_clouds_are_collected_by_kind(splits: Splits) -> None:
    splits = change(splits, "train", slice(0, 3), load=edit_cloud(lambda cloud: cloud * (1, 1, 1, 0, 0, 0)))
    finding = judge(Listed(splits))["colors-black"]
    assert finding.seen.startswith("3 of 48 clouds; the first, train-0: all colors are 0")
    assert finding.examples == ("train-0", "train-1", "train-2")


def test_clouds_that_alone_know_of_their_color_are_colored_unless_black(splits: dict[str, list[Record]]) -> None:
    unknown = {split: [replace(record, has_color=None) for record in records] for split, records in splits.items()}
    assert all(each.facts.colors is not None for each in survey(Listed(unknown), "listed", count=100).clouds)
    black = replace(unknown["train"][0], load=lambda: unknown["train"][1].load() * np.float32([1, 1, 1, 0, 0, 0]))
    facts = survey(Listed({**unknown, "train": [black, *unknown["train"][1:]]}), "listed", count=100)
    assert [each.record_id for each in facts.clouds if each.facts.colors is None] == [black.id]
