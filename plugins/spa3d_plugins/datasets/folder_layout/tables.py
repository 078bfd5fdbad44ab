"""Rows of tables of texts: CSV with or without a header, JSON and JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa3d.data.conversations import JsonArray
from spa3d.data.foreign_layouts import describe_file_key
from spa3d.errors import DataError
from spa3d.runtime.jsonl import read_lines
from spa3d.runtime.text_files import read_text
from spa3d_plugins.datasets.folder_layout.columns import NAMES, TEXTS

LONGEST_TEXT = 100_000
"""Most characters of a text; an answer of a model has hundreds."""
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}


@dataclass(frozen=True)
class Row:
    """A row or entry of a table.

    Attributes:
        where: file and line or number of the entry, for messages.
        values: the cells by the name of their column, in lower case; empty ones are left out.
        empty: columns of texts whose cells are empty.

    """

    where: str
    values: Mapping[str, Any]
    empty: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows of a table.

    Attributes:
        rows: the rows.
        errors: one line per entry that is no row.
        notes: what was guessed.

    """

    rows: Sequence[Row]
    errors: Sequence[str] = ()
    notes: Sequence[str] = ()


def read_table(path: Path) -> Table:
    """Read a table of texts; raises `DataError` if the file as a whole cannot be used."""
    if path.suffix.lower() in (".csv", ".tsv"):
        return _read_csv(path)
    errors = list[str]()
    return _as_table(_read_lines(path, errors) if path.suffix.lower() == ".jsonl" else _read_json(path), errors)


def _read_lines(path: Path, errors: list[str]) -> Iterator[tuple[str, Any]]:
    for line in read_lines(path):
        try:
            value = line.value()
        except (ValueError, RecursionError) as error:
            errors.append(f"{line.where}: this is no JSON ({error}): {line.excerpt}")
        else:
            yield line.where, value


def _as_table(entries: Iterator[tuple[str, Any]], errors: list[str]) -> Table:
    rows = list[Row]()
    for where, value in entries:
        if isinstance(value, dict):
            cells = {str(key).strip().lower(): cell for key, cell in value.items()}
            rows.append(_as_row(where, cells))
        else:
            errors.append(f"{where}: {json.dumps(value)[:60]} is no object with a file and a text.")
    return Table(rows, errors)


def _as_row(where: str, cells: Mapping[str, Any]) -> Row:
    values = {key: cell for key, cell in cells.items() if key and not _is_blank(cell)}
    return Row(where, values, tuple(key for key in cells if key in TEXTS and key not in values))


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _read_json(path: Path) -> Iterator[tuple[str, Any]]:
    """Entries of an array, or of an object from ids to texts or to entries."""
    text = read_text(path)
    if not text.lstrip().startswith("{"):
        entries = list[tuple[str, Any]]()
        JsonArray(path, lambda number, value: entries.append((f"{path}, entry {number}", value)))
        yield from entries
        return
    try:
        content = json.loads(text, object_pairs_hook=_refuse_repeated)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON: {error}.") from error
    only = next(iter(content.values())) if len(content) == 1 else None
    if isinstance(only, list) and only and isinstance(only[0], dict):  # the entries below one key
        yield from ((f"{path}, entry {number}", value) for number, value in enumerate(only))
        return
    for key, value in content.items():
        if layout := describe_file_key(key):
            raise DataError(f"{path}: no array of entries; this looks like {layout}.")
        where = f"{path}, {key!r}"
        if isinstance(value, dict):
            yield where, {NAMES[0]: key, **value}
        else:
            yield where, {NAMES[0]: key, "caption": value}


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {repeated!r} occurs twice")
    return result


def _read_csv(path: Path) -> Table:
    text = read_text(path)
    delimiter = _find_delimiter(text)
    lines = list(_split_cells(path, text, delimiter))
    if not lines:
        raise DataError(f"{path}: the file is empty.")
    first = [cell.strip().lower().replace(" ", "_").replace("-", "_") for cell in lines[0][1]]
    notes = list[str]()
    if not set(first) & set(NAMES):
        if len(first) != 2 or set(first) & set(TEXTS):
            raise DataError(
                f"{path}: the first line has the columns {', '.join(first)[:200]} (split at {_DELIMITERS[delimiter]}); "
                f"a header names the cloud by one of {', '.join(NAMES)}. Without a header there are two columns, id "
                "and caption."
            )
        notes.append(f"{path}: no header; its two columns are read as id and caption.")
        first = ["id", "caption"]
    else:
        del lines[0]
    repeated = sorted({name for name in first if first.count(name) > 1})
    if repeated:
        raise DataError(f"{path}: the header has the column {repeated[0]!r} twice; rename one.")
    rows, errors = list[Row](), list[str]()
    for number, cells in lines:
        where = f"{path}, line {number}"
        if len(cells) > len(first):
            errors.append(
                f"{where}: {len(cells)} cells for {len(first)} columns; put a text that holds {_DELIMITERS[delimiter]} "
                "in quotes."
            )
            continue
        padded = [*(cell.strip() for cell in cells), *[""] * (len(first) - len(cells))]
        rows.append(_as_row(where, dict(zip(first, padded, strict=True))))
    return Table(rows, errors, notes)


def _find_delimiter(text: str) -> str:
    """The delimiter that the first line has most often, quoted texts aside."""
    line = text.lstrip().partition("\n")[0]
    unquoted = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=unquoted.count)


def _split_cells(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row and the line that it begins in; blank lines are left out."""
    previous, limit = 0, csv.field_size_limit(len(text) + 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield previous + 1, cells
            previous = reader.line_num
    except csv.Error as error:
        raise DataError(
            f"{path}, line {previous + 1}: {error}; a quote in a text is doubled, and a text that begins with one ends "
            "with one."
        ) from error
    finally:
        csv.field_size_limit(limit)
