"""Lazy records: a sequence that builds only the requested records."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import pytest

from spa3d.contracts.dataset import Record
from spa3d.data.lazy_records import LazyRecords


def record(number: int) -> Record:
    return Record(id=f"r{number}", object_id="o", group="g", load=lambda: None, conversations=())  # type: ignore[arg-type,return-value]


def ids(records: Sequence[Record]) -> list[str]:
    return [item.id for item in records]


@pytest.mark.parametrize("keys", [range(5), tuple(range(5))])
def test_lazy_records_index_and_slice_like_a_list(keys: Sequence[int]) -> None:
    records, listed = LazyRecords(keys, record), [f"r{number}" for number in keys]
    assert len(records) == 5
    assert ids(records) == listed
    assert ids(list(reversed(records))) == listed[::-1]
    for index in (0, 4, -1, -5):
        assert records[index].id == listed[index]
    for part in (slice(1, 3), slice(-2, None), slice(None, None, -2), slice(3, 99), slice(4, 1)):
        assert ids(records[part]) == listed[part]
    assert ids(records[1:4][-2:]) == ["r2", "r3"]
    for beyond in (5, -6):
        with pytest.raises(IndexError):
            records[beyond]


def test_lazy_records_build_only_requested_records() -> None:
    made: list[int] = []

    def make(number: int) -> Record:
        made.append(number)
        return record(number)

    records = LazyRecords(range(10**9), make)
    few = records[5:8]
    assert made == []
    assert few[-1].id == "r7"
    assert made == [7]


def test_lazy_records_raise_an_index_error_of_make() -> None:
    with pytest.raises(IndexError, match="a bug"):
        list(LazyRecords(range(3), fail))


def fail(number: int) -> Record:
    if number == 2:
        raise IndexError("a bug")
    return record(number)


def test_lazy_records_pickle() -> None:
    again = pickle.loads(pickle.dumps(LazyRecords(range(3), fail)))
    assert ids(again[:2]) == ["r0", "r1"]
