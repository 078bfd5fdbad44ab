"""Files of pairs: round trip, and errors that name the line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spa3d.data.preference_pairs import EMPTY, SAME, Pair, pair_error, read_pairs, select_pairs, write_pairs
from spa3d.errors import DataError

GOOD = {"record": "train-1", "question": "Which side?", "chosen": "left", "rejected": "right"}


def read_error(folder: Path, *lines: str) -> str:
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_pairs(path)
    return str(caught.value).replace(str(path), "FILE")


def line(**more: Any) -> str:
    return json.dumps({**GOOD, **more})


def test_read_pairs_round_trip(tmp_path: Path) -> None:
    pairs = [
        Pair("train-1", "Which side?", "left\u2028side", "“right”", True, {"mode": "corruption", "seed": 3}),
        Pair("train-2", "What is a chair?", "a seat", "a fruit", has_cloud=False),
    ]
    write_pairs(tmp_path / "p.jsonl", pairs)
    assert read_pairs(tmp_path / "p.jsonl") == pairs


def test_read_pairs_needs_only_four_texts(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(f"\n{line(score=3)}\n\n")
    assert read_pairs(tmp_path / "p.jsonl") == [Pair("train-1", "Which side?", "left", "right")]


def test_read_pairs_error_names_the_line(tmp_path: Path) -> None:
    assert read_error(tmp_path, line(), "", '{"record": "x', line()).startswith("FILE, line 3: this is no JSON (")
    assert read_error(tmp_path, line(), "[1, 2]").startswith("FILE, line 2: a line must be an object with record, ques")
    missing = json.dumps({"record": "train-1", "chosen": "left"})
    assert read_error(tmp_path, missing).startswith("FILE, line 1: question, rejected missing; a pair has record, ")
    assert read_error(tmp_path, line(chosen=3)) == "FILE, line 1: chosen must be a text, not 3"
    assert read_error(tmp_path, line(question=" ")) == "FILE, line 1: question is empty"
    assert read_error(tmp_path, line(has_cloud="yes")).startswith("FILE, line 1: has_cloud must be true or false")
    assert read_error(tmp_path, line(rejected=" LEFT")) == (
        "FILE, line 1: the two answers are the same, which leaves nothing to prefer; leave the line out"
    )
    assert read_error(tmp_path, line(rejected="")).startswith("FILE, line 1: an answer is empty")
    assert read_error(tmp_path, "").startswith("FILE: no pairs in it; make some with `spa3d pairs FILE")


def test_read_pairs_missing_or_binary_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read: no such file"):
        read_pairs(tmp_path / "none.jsonl")
    (tmp_path / "p.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"p\.jsonl: not UTF-8 at byte 0"):
        read_pairs(tmp_path / "p.jsonl")


def test_read_pairs_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text("\ufeff" + line() + "\r\n" + line(record="b"), encoding="utf-8")
    assert [pair.record_id for pair in read_pairs(tmp_path / "p.jsonl")][1] == "b"


def test_read_pairs_refuses_a_misspelled_key(tmp_path: Path) -> None:
    assert read_error(tmp_path, line(has_clouds=False)) == (
        "FILE, line 1: no key 'has_clouds' is read; did you mean 'has_cloud'?"
    )
    (tmp_path / "p.jsonl").write_text(line(score=3), encoding="utf-8")
    assert len(read_pairs(tmp_path / "p.jsonl")) == 1


@pytest.mark.parametrize(
    ("chosen", "rejected", "error"),
    [
        ("It is red.", "It is blue.", ""),
        ("It is red.", " it  is\nRED. ", SAME),
        ("It is red.", "It is red", ""),
        ("red", "  ", EMPTY),
        ("", "red", EMPTY),
    ],
)
def test_pair_error(chosen: str, rejected: str, error: str) -> None:
    assert pair_error(chosen, rejected) == error


class TestSelectPairs:
    def test_unknown_records(self, toy_dataset: Any) -> None:
        pairs = [
            Pair(f"{split}-{i}", "?", "a", "b", made={"dataset": "toys"}) for split in ("train", "test") for i in (1, 2)
        ]
        with pytest.raises(DataError) as caught:
            select_pairs(pairs, toy_dataset.records("train"), left_out=(), dataset="toy")
        assert str(caught.value).startswith(
            "2 of 4 pairs are about records that the training split of toy does not have, the first about 'test-1'; "
            "they were made with dataset toys: "
        )

    def test_records_left_out(self, toy_dataset: Any) -> None:
        pairs = [Pair(f"train-{i}", "?", "a", "b") for i in (1, 2)]
        records = [record for record in toy_dataset.records("train") if record.id != "train-1"]
        assert select_pairs(pairs, records, left_out={"train-1"}, dataset="toy") == pairs[1:]
        with pytest.raises(DataError, match="all 1 pairs are about records that are left out"):
            select_pairs(pairs[:1], records, left_out={"train-1"}, dataset="toy")
