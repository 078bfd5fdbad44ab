from pathlib import Path

import pytest

from spa3d.errors import DataError
from spa3d_plugins.datasets.folder_layout.tables import read_table


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        'ID,Caption,split\nx,"a ""b"", c",test\ny,d,\n',
        'ID;Caption;split\r\nx;"a ""b"", c";test\r\ny;d\r\n',
        '\ufeffid\tcaption\tsplit\n\nx\t"a ""b"", c"\ttest\n \t\t\ny\td\n',
        'id|caption|split\rx|"a ""b"", c"|test\ry|d\r',
        '"id", "caption", "split"\nx,"a ""b"", c",test\ny,d\n',
    ],
    ids=["commas", "semicolons, crlf", "tabs, bom, blank lines", "bars, cr", "quoted header"],
)
def test_csv_of_any_kind(tmp_path: Path, content: str) -> None:
    table = read_table(write(tmp_path, "a.csv", content))
    assert [dict(row.values) for row in table.rows] == [
        {"id": "x", "caption": 'a "b", c', "split": "test"},
        {"id": "y", "caption": "d"},
    ]
    assert (table.errors, table.notes) == ([], [])


def test_csv_without_header_is_id_and_caption(tmp_path: Path) -> None:
    path = write(tmp_path, "Cap3D.csv", 'ab12,"A chair, red"\ncd34,A mug\n')
    table = read_table(path)
    assert [dict(row.values) for row in table.rows] == [
        {"id": "ab12", "caption": "A chair, red"},
        {"id": "cd34", "caption": "A mug"},
    ]
    assert table.notes == [f"{path}: no header; its two columns are read as id and caption."]


def test_csv_names_the_line_in_which_a_row_begins(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'id,caption\nx,"two\nlines"\ny,a,b\nz,\n')
    table = read_table(path)
    assert [(row.where, row.empty) for row in table.rows] == [
        (f"{path}, line 2", ()),
        (f"{path}, line 5", ("caption",)),
    ]
    assert table.errors == [f"{path}, line 4: 3 cells for 2 columns; put a text that holds a comma in quotes."]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "the file is empty"),
        ("a,b,c\n1,2,3\n", "columns a, b, c .* names the cloud by one of file, "),
        ("model,caption\nx,A chair\n", "columns model, caption .* names the cloud by one of file, "),
        ("id,caption,id\n1,2,3\n", "column 'id' twice"),
        ('id,caption\nx,ok\ny,"never closed\nz,x\n', "line 3: unexpected end of data"),
        ('id,caption\nx,"a "b" c"\n', "line 2: .*a quote in a text is doubled"),
        ("id,caption\nx,é\n".encode("latin-1"), "not UTF-8 at byte 13"),
        ("id,caption\nx,y\n".encode("utf-16"), "not UTF-8 at byte 0"),
    ],
)
def test_csv_that_cannot_be_used(tmp_path: Path, content: str | bytes, problem: str) -> None:
    with pytest.raises(DataError, match=f"a.csv.*{problem}"):
        read_table(write(tmp_path, "a.csv", content))


@pytest.mark.parametrize(
    "content",
    [
        '[{"id": "x", "caption": "a"}, {"ID": "y", "caption": "b", "n": null}]',
        '{"x": "a", "y": "b"}',
        '{"x": {"caption": "a"}, "y": {"caption": "b"}}',
        '{"data": [{"id": "x", "caption": "a"}, {"id": "y", "caption": "b"}]}',
    ],
)
def test_json_of_any_kind(tmp_path: Path, content: str) -> None:
    table = read_table(write(tmp_path, "a.json", content))
    rows = [{"id" if key == "file" else key: cell for key, cell in row.values.items()} for row in table.rows]
    assert rows == [{"id": "x", "caption": "a"}, {"id": "y", "caption": "b"}]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"x": "a", "x": "b"}', "the key 'x' occurs twice"),
        ('{"x": ' * 100_000, "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"id": "x"', "the file ends there, copy it again"),
        ('"x"', "a JSON array is expected"),
    ],
)
def test_json_that_cannot_be_used(tmp_path: Path, content: str, problem: str) -> None:
    with pytest.raises(DataError, match=f"a.json.*{problem}"):
        read_table(write(tmp_path, "a.json", content))


def test_json_lines_that_cannot_be_used_are_errors(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"id": "x", "caption": " "}\n\n{bad\n[1]\n')
    table = read_table(path)
    assert [(dict(row.values), row.empty) for row in table.rows] == [({"id": "x"}, ("caption",))]
    assert table.errors[0].startswith(f"{path}, line 3: this is no JSON")
    assert table.errors[1] == f"{path}, line 4: [1] is no object with a file and a text."
