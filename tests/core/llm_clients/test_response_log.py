"""Log of responses: complete after kills and with several processes."""

from __future__ import annotations

import fcntl
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from spa3d.errors import DataError
from spa3d.llm_clients.response_log import KeyedResponse, ResponseLog


@dataclass(frozen=True)
class Response(KeyedResponse):
    """Two texts, or why there are none."""

    chosen: str = ""
    rejected: str = ""
    why_not: str = ""


FIRST, SECOND = Response("a", "left\u2028", "right"), Response("b", why_not="the endpoint said “no”")


def nobody_waits() -> None:
    raise AssertionError("there is nobody to wait for")


def test_responses_are_on_disk_as_soon_as_they_are_added(tmp_path: Path) -> None:
    log = ResponseLog(tmp_path / "folder" / "log.jsonl", Response)
    with log.lock(nobody_waits):
        log.add([FIRST])
        assert ResponseLog(log.path, Response).responses == {"a": FIRST}
        log.add([SECOND])
    assert ResponseLog(log.path, Response).responses == log.responses == {"a": FIRST, "b": SECOND}


def test_a_torn_last_line_is_dropped_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = ResponseLog(path, Response)
    with log.lock(nobody_waits):
        log.add([FIRST, SECOND])
    whole = path.read_bytes()
    for torn in (whole[:-1], whole[:-30], whole[: whole.index(b"\n") + 2]):
        path.write_bytes(torn)
        again = ResponseLog(path, Response)
        assert again.responses == {"a": FIRST}
        with again.lock(nobody_waits):
            again.add([SECOND])
        assert path.read_bytes() == whole


def test_response_log_names_an_invalid_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"key": "a"}\n{"key": "b", "price": 3}\n')
    with pytest.raises(DataError, match=r"log\.jsonl, line 2: not a valid response .*; delete the line"):
        ResponseLog(path, Response)


def test_add_requires_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="locked"):
        ResponseLog(tmp_path / "log.jsonl", Response).add([FIRST])


def test_lock_reads_responses_of_another_process(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    mine, theirs = ResponseLog(path, Response), ResponseLog(path, Response)
    with theirs.lock(nobody_waits):
        theirs.add([FIRST])
        with path.open("ab") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert mine.responses == {}
    with mine.lock(nobody_waits):
        assert mine.responses == {"a": FIRST}


def test_lock_calls_on_wait_before_waiting(tmp_path: Path) -> None:
    path, waiting = tmp_path / "log.jsonl", threading.Event()
    mine, theirs = ResponseLog(path, Response), ResponseLog(path, Response)

    def take_my_turn() -> None:
        with mine.lock(waiting.set):
            mine.add([SECOND])

    thread = threading.Thread(target=take_my_turn)
    with theirs.lock(nobody_waits):
        thread.start()
        assert waiting.wait(10)
        theirs.add([FIRST])
    thread.join(10)
    assert mine.responses == {"a": FIRST, "b": SECOND}
