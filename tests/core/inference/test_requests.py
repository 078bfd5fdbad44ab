from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spa3d.errors import DataError
from spa3d.inference.requests import SHOWN, check_all, read_requests


def write(folder: Path, *lines: Any) -> Path:
    path = folder / "q.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_read_requests_finds_clouds_beside_the_file_or_below_the_root(tmp_path: Path) -> None:
    lines = [
        {"id": 7, "cloud": "a.npy", "question": "What?", "reference": "ignored"},
        {"id": "b", "cloud": "/far/b.npy", "question": "Which?", "options": ["x", "y"]},
        {"id": "c", "question": "And?", "options": None},
    ]
    path = write(tmp_path, *lines)
    first, second, third = read_requests(path, None)
    assert (first.id, first.cloud, first.question, first.options) == (7, tmp_path / "a.npy", "What?", ())
    assert (second.cloud, second.options) == (Path("/far/b.npy"), ("x", "y"))
    assert third.cloud is None
    assert third.where == f"{path}, line 3"
    assert read_requests(path, Path("/elsewhere"))[0].cloud == Path("/elsewhere/a.npy")
    assert read_requests(write(tmp_path, {"id": 1, "cloud": "a.npy"}), None, questions=False)[0].question == ""


GOOD = {"id": 1, "cloud": "a.npy", "question": "What?"}
BAD: dict[str, tuple[Any, str]] = {
    "no json": ("{", "this is no JSON"),
    "no object": ([1], "expected an object"),
    "misspelled": ({"id": 1, "cloud": "a", "quesion": "q"}, "no key 'quesion' is read; did you mean 'question'"),
    "no id": ({**GOOD, "id": None}, "its id is None"),
    "true id": ({**GOOD, "id": True}, "its id is True"),
    "empty id": ({**GOOD, "id": " "}, "its id is ' '"),
    "cloud": ({**GOOD, "cloud": 3}, "its cloud is 3; expected the path of a file, or null"),
    "empty cloud": ({**GOOD, "cloud": ""}, "its cloud is ''"),
    "question": ({**GOOD, "question": ["What?"]}, "expected a text"),
    "no question": ({"id": 1, "cloud": "a"}, "its question is ''"),
    "one option": ({**GOOD, "options": ["x"]}, "two or more different texts"),
    "equal options": ({**GOOD, "options": ["x", "x"]}, "two or more different texts"),
    "option text": ({**GOOD, "options": "xy"}, "two or more different texts"),
    "empty option": ({**GOOD, "options": ["x", ""]}, "two or more different texts"),
}


@pytest.mark.parametrize("name", BAD)
def test_read_requests_names_the_line(tmp_path: Path, name: str) -> None:
    line, message = BAD[name]
    path = write(tmp_path, {**GOOD, "id": "good"}, line)
    with pytest.raises(DataError, match=rf"^{path}, line 2: .*{message}"):
        read_requests(path, None)


def test_read_requests_lists_all_bad_lines(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, "{", GOOD, [])
    with pytest.raises(DataError) as caught:
        read_requests(path, None)
    first, second, third, count = str(caught.value).splitlines()
    assert first.startswith(f"{path}, line 2: this is no JSON")
    assert second == f"{path}, line 3: the id '1' is that of {path}, line 1, too; give it another"
    assert third.startswith(f"{path}, line 4: expected an object")
    assert count == "3 bad lines"
    with pytest.raises(DataError, match="holds no line"):
        read_requests(write(tmp_path), None)
    with pytest.raises(DataError, match=r"line 1: its cloud is None; expected the path of a file$"):
        read_requests(write(tmp_path, {"id": 1, "question": "q"}), None, questions=False)


def test_check_all_stops_at_the_most_that_are_shown() -> None:
    seen = []

    def check(number: int) -> None:
        seen.append(number)
        raise DataError(f"number {number}")

    with pytest.raises(DataError) as caught:
        check_all(range(100), check, "bad numbers")
    assert len(seen) == SHOWN
    assert str(caught.value).splitlines()[-1] == f"at least {SHOWN} bad numbers"
