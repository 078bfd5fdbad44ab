"""Files of lines that grow in several goes: nothing is lost, another request is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spa3d.artifacts.resumable_lines import ResumableLines, read_marker
from spa3d.errors import OutputError

REQUEST = {"input": "abc", "decoding": {"seed": 0}}


def lines(folder: Path, **changes: object) -> ResumableLines:
    return ResumableLines(folder / "a.jsonl", {**REQUEST, **changes})


def test_lines_survive_a_kill_and_are_complete_at_the_end(tmp_path: Path) -> None:
    with lines(tmp_path).write() as there:
        assert list(there) == []
        file = lines(tmp_path)
    assert list(tmp_path.iterdir()) == []  # nothing was done, so nothing is left
    with file.write():
        file.add([{"id": 1}, {"id": "ü"}])
    with file.part.open("a", encoding="utf-8") as part:
        part.write('{"id": "torn')
    again = lines(tmp_path)
    assert not again.check()
    with again.write() as there:
        assert list(there) == [{"id": 1}, {"id": "ü"}]
        again.add([{"id": 3}])
        again.finish(seconds=2)
    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8") == '{"id": 1}\n{"id": "ü"}\n{"id": 3}\n'
    assert json.loads(again.marker.read_text()) == {"request": REQUEST, "lines": 3, "seconds": 2}
    assert not again.part.exists()
    assert lines(tmp_path).check()


def test_first_line_alone_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.part").write_text('{"spa3d": {"input": "another"}}\n')
    file = lines(tmp_path)
    with file.write():
        file.add([{"id": 1}])
    assert file.part.read_text().splitlines() == [json.dumps({"spa3d": REQUEST}), '{"id": 1}']


def test_another_request_is_refused_with_the_difference(tmp_path: Path) -> None:
    file = lines(tmp_path)
    with file.write():
        file.add([{"id": 1}])
    other = lines(tmp_path, decoding={"seed": 1})
    with pytest.raises(OutputError, match=r"a\.jsonl\.part: was made with something else \(decoding\.seed: 0 → 1\)"):
        other.check()
    with file.write():
        file.finish()
    with pytest.raises(OutputError, match=r"a\.jsonl: was made with something else \(decoding\.seed: 0 → 1\)"):
        other.check()
    (tmp_path / "a.jsonl").unlink()  # as the message says
    assert not other.check()


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n")
    with pytest.raises(OutputError, match="exists, and was not written by this command; choose another"):
        lines(tmp_path).check()
    (tmp_path / "a.jsonl.part").write_text('{"id": 1}\n')
    with pytest.raises(OutputError, match=r"part: was not written by this command"):
        lines(tmp_path).check()
    (tmp_path / "a.jsonl.part").write_text("{\n")
    with pytest.raises(OutputError, match=r"part, line 1: this is no JSON"):
        lines(tmp_path).check()


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    busy = pytest.raises(OutputError, match="another process is writing it")
    with lines(tmp_path).write(), busy, lines(tmp_path).write():
        pass
    with pytest.raises(ValueError, match="only inside"):
        lines(tmp_path).add([{}])


def test_unwritable_places_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        ResumableLines(tmp_path / "file" / "a.jsonl", REQUEST).check()
    with pytest.raises(OutputError, match="cannot be written"), lines(tmp_path / "file").write():
        pass


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"request": 3}', "\xff"])
def test_read_marker_ignores_what_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "m").write_text(content, encoding="latin-1")
    assert read_marker(tmp_path / "m") is None
    assert read_marker(tmp_path / "missing") is None
