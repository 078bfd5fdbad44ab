"""What was paid for is kept: over kills, among processes, and whole."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from spa3d.errors import DataError
from spa3d.llm_clients.response_log import Ledger, Outcome

FIRST, SECOND = Outcome("a", "left\u2028", "right"), Outcome("b", why_not="the endpoint said “no”")


def test_outcomes_are_on_disk_as_soon_as_they_are_added(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "folder" / "ledger.jsonl")
    with ledger.held(print):
        ledger.add([FIRST])
        assert Ledger(ledger.path).outcomes == {"a": FIRST}
        ledger.add([SECOND])
    assert Ledger(ledger.path).outcomes == ledger.outcomes == {"a": FIRST, "b": SECOND}


def test_a_torn_last_line_is_dropped_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    with ledger.held(print):
        ledger.add([FIRST, SECOND])
    whole = path.read_bytes()
    for torn in (whole[:-1], whole[:-30], whole[: whole.index(b"\n") + 2]):
        path.write_bytes(torn)
        again = Ledger(path)
        assert again.outcomes == {"a": FIRST}
        with again.held(print):
            again.add([SECOND])
        assert path.read_bytes() == whole


def test_a_line_that_is_broken_otherwise_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"key": "a"}\n{"key": "b", "price": 3}\n')
    with pytest.raises(DataError, match=r"ledger\.jsonl, line 2: not as it was written .*; delete the line"):
        Ledger(path)


def test_nobody_writes_without_holding_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="held"):
        Ledger(tmp_path / "ledger.jsonl").add([FIRST])


def test_who_waits_meets_what_the_other_left(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    mine, theirs = Ledger(path), Ledger(path)
    with theirs.held(print):
        theirs.add([FIRST])
        with path.open("ab") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert mine.outcomes == {}
    with mine.held(print):
        assert mine.outcomes == {"a": FIRST}
