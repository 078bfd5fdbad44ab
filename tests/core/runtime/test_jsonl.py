"""JSON lines: split at line feeds only, errors with line numbers, lines torn by a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from spa3d.errors import DataError
from spa3d.runtime.jsonl import (
    append_durably,
    append_value,
    format_lines,
    read_complete_lines,
    read_lines,
    read_valid_values,
    read_values,
)

VALUES = [{"text": "one\u2028line\x85and\x0cmore"}, {"text": "“two”\nlines"}, [3], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "values.jsonl"


@pytest.mark.parametrize("ascii_only", [False, True])
def test_format_lines_reads_back_as_written(path: Path, ascii_only: bool) -> None:
    text = format_lines(VALUES, ascii_only=ascii_only)
    assert text.isascii() == ascii_only
    path.write_text(text, encoding="utf-8")
    assert [line.value() for line in read_lines(path)] == VALUES
    assert [value for _, value in read_values(path)] == VALUES
    assert read_valid_values(path) == VALUES
    assert [line.value() for line in read_complete_lines(path)[0]] == VALUES


def test_append_value_adds_one_line(path: Path) -> None:
    for value in VALUES:
        append_value(path, value)
    assert path.read_text(encoding="utf-8") == format_lines(VALUES)


def test_append_durably_replaces_half_a_surrogate_pair(path: Path) -> None:
    with path.open("ab") as file:
        append_durably(file, ["a", "\ud83d!"])
        assert path.read_bytes() == b'"a"\n"?!"\n'


def test_read_values_skips_blank_lines_and_names_the_line(path: Path) -> None:
    path.write_text('1\n\n  \n{"a": "b\n5\n')
    lines = read_values(path)
    line, value = next(lines)
    assert (line.where, line.excerpt, value) == (f"{path}, line 1", "'1'", 1)
    with pytest.raises(DataError, match=r"values\.jsonl, line 4: this is no JSON \(.*\): '\{\"a\": \"b'"):
        next(lines)


def test_read_values_names_a_file_that_is_missing_or_no_text(path: Path) -> None:
    with pytest.raises(DataError, match=r"values\.jsonl: cannot be read: no such file"):
        list(read_values(path))
    path.write_bytes(b"1\n\xff\n")
    with pytest.raises(DataError, match=r"values\.jsonl: not UTF-8 at byte 2"):
        list(read_values(path))


def test_read_lines_leaves_errors_of_a_line_as_they_are(path: Path) -> None:
    path.write_text("{")
    with pytest.raises(ValueError, match="Expecting property name"):
        [line.value() for line in read_lines(path)]


def test_read_values_takes_a_byte_order_mark_and_refuses_deep_nesting(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + b'{"a": 1}\r\n[2]\r\n')
    assert [value for _, value in read_values(path)] == [{"a": 1}, [2]]
    path.write_text("1\n" + "[" * 100_000)
    with pytest.raises(DataError, match=r"line 2: this is no JSON"):
        list(read_values(path))


def test_read_valid_values_drops_torn_lines_anywhere(path: Path) -> None:
    assert read_valid_values(path) == []
    path.write_text('1\n{"torn": \n2\n{"st')
    assert read_valid_values(path) == [1, 2]


def test_read_complete_lines_leaves_out_what_follows_the_last_line_break(path: Path) -> None:
    assert read_complete_lines(path) == ([], 0)
    path.write_bytes(b'1\n\n\xff\n"torn"')
    lines, size = read_complete_lines(path)
    assert size == path.read_bytes().rindex(b"\n") + 1
    assert [line.where for line in lines] == [f"{path}, line {number}" for number in (1, 2, 3)]
    assert lines[0].value() == 1
    for broken in lines[1:]:
        with pytest.raises(ValueError, match=r"Expecting value|utf-8"):
            broken.value()
