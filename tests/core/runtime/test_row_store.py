"""Rows on disk: written once, read by everybody, torn writes ignored."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spa3d.runtime.row_store import RowStore


def compute(log: list[list[int]]):
    def rows(missing: list[int]) -> np.ndarray:
        log.append(missing)
        return np.array([[m, m + 0.5] for m in missing], dtype=np.float32)

    return rows


def test_missing_rows_are_computed_once_and_kept(tmp_path: Path) -> None:
    store, log = RowStore(tmp_path, (2,)), []
    first = store.fetch(["a", "b"], compute(log))
    again = store.fetch(["b", "a", "c"], compute(log))
    assert log == [[0, 1], [2]]
    np.testing.assert_array_equal(again, [first[1], first[0], [2, 2.5]])


def test_another_store_reads_what_the_first_wrote(tmp_path: Path) -> None:
    RowStore(tmp_path, (2,)).fetch(["a", "b"], compute([]))
    log: list[list[int]] = []
    rows = RowStore(tmp_path, (2,)).fetch(["b"], compute(log))
    assert log == []
    np.testing.assert_array_equal(rows, [[1, 1.5]])


def test_a_batch_whose_index_line_is_torn_counts_as_missing(tmp_path: Path) -> None:
    store = RowStore(tmp_path, (2,))
    store.fetch(["a"], compute([]))
    store.fetch(["b"], compute([]))
    index = next(tmp_path.glob("*.index"))
    index.write_text(index.read_text()[:-3])
    assert "a" in RowStore(tmp_path, (2,))
    assert "b" not in RowStore(tmp_path, (2,))


def test_rows_whose_data_are_cut_off_count_as_missing(tmp_path: Path) -> None:
    RowStore(tmp_path, (2,)).fetch(["a", "b"], compute([]))
    data = next(tmp_path.glob("*.rows"))
    data.write_bytes(data.read_bytes()[:8])
    assert len(RowStore(tmp_path, (2,))) == 0


def test_a_full_store_stops_growing_but_still_answers(tmp_path: Path) -> None:
    store = RowStore(tmp_path, (2,), limit_bytes=8)
    store.fetch(["a"], compute([]))
    np.testing.assert_array_equal(store.fetch(["a", "b"], compute([])), [[0, 0.5], [1, 1.5]])
    assert len(store) == 1


def test_without_a_folder_nothing_is_kept() -> None:
    store, log = RowStore(None, (2,)), []
    store.fetch(["a"], compute(log))
    store.fetch(["a"], compute(log))
    assert log == [[0], [0]]


def test_rows_of_a_broken_index_count_as_missing(tmp_path: Path) -> None:
    RowStore(tmp_path, (2,)).fetch(["a", "b"], compute([]))
    index = next(tmp_path.glob("*.index"))
    for garbage in (b"3", b"\xff\xfe", b"{}", b"[1, 2]", b"null", b"[[]]"):
        index.write_bytes(garbage + b"\n")
        assert len(RowStore(tmp_path, (2,))) == 0
