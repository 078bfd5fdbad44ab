"""Layout of a table of points in a text file: its separator, and what its columns are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spa3d.data.formats.field_names import COLOR, NORMAL, POINT, USED, find_fields, has_fields

_NUMBER_WITH_COMMA = re.compile(r"[+-]?\d+(,\d+)?([eE][+-]?\d+)?")
_PARTS: dict[str, tuple[str, ...]] = {"i": ("intensity",), "c": COLOR, "a": ("alpha",), "n": NORMAL, "l": ("label",)}
_ORDERS = ("i", "n", "c", "nl", "ca", "ic", "ci", "ni", "in", "cn", "nc", "can", "icn", "cni", "cin", "nci")
"""Usual orders of what follows x y z, the first that fits is taken: ``.pts`` is ``ic``, ShapeNet's parts are ``nl``."""
_EMPTY = "(empty)"


@dataclass(frozen=True)
class Layout:
    """Meaning of the columns.

    Attributes:
        names: name of each column; those that are no value of a cloud are not used.
        note: how it is known, for `Cloud.notes`.

    """

    names: tuple[str, ...]
    note: str

    def columns(self, fields: Sequence[str]) -> list[int] | None:
        """Positions of some values; None if they are not there."""
        positions = find_fields(self.names)
        return [positions[field] for field in fields] if has_fields(positions, fields) else None


def layout_of_header(names: Sequence[str]) -> Layout:
    """Layout that a header names."""
    return Layout(
        tuple(names), f"columns by the header: {' '.join(name.strip() for name in names)}{_list_unused(names)}"
    )


def guess_layout(values: Float[np.ndarray, "N columns"]) -> Layout:
    """Guess what columns without names are, from the first lines of a file."""
    further = values.shape[1] - 3
    fitting = [order for order in _ORDERS if _count(order) == further and _fits(order, values[:, 3:])]
    if not further:
        return Layout(POINT, "columns guessed: x y z")
    if not fitting:
        columns = "column 4 is" if further == 1 else f"columns 4 to {further + 3} are"
        text = f"columns guessed: x y z; {columns} neither colors nor normals and not used; {_explain(('x', 'y', 'z'))}"
        return Layout((*POINT, *("unknown" for _ in range(further))), text)
    names, *others = [(*POINT, *(name for part in order for name in _PARTS[part])) for order in fitting]
    others = [each for each in others if _positions(each) != _positions(names)]
    doubt = f"; they could also be {' or '.join(' '.join(each) for each in others)}" if others else ""
    return Layout(names, f"columns guessed: {' '.join(names)}{_list_unused(names)}{doubt}; {_explain(names)}")


def find_separator(lines: Sequence[str]) -> Callable[[str], str] | None:
    """Find a function that makes spaces of separators and points of decimal commas.

    None if there is nothing to do.
    """
    line = next((line for line in lines if ";" in line), None) or next((line for line in lines if "," in line), "")
    quoted = any('"' in each for each in lines[:2])
    if ";" in line:
        return lambda line: _split_cells(_unquote(line).replace(",", "."), ";")
    words = line.split()
    if len(words) >= 3 and all(_NUMBER_WITH_COMMA.fullmatch(word) for word in words):
        return lambda line: line.replace(",", ".")
    if line:
        return lambda line: _split_cells(_unquote(line), ",")
    return _unquote if quoted else None


def split_names(line: str) -> list[str]:
    """Split a header at commas, semicolons or tabs if there are any, else at spaces."""
    line = line.strip().lstrip("#/").strip()
    separator = next((each for each in (";", "\t", ",") if each in line), None)
    return [_unquote(word).strip() for word in line.split(separator)]


def _unquote(line: str) -> str:
    return line.replace('"', " ")


def _split_cells(line: str, separator: str) -> str:
    double = separator * 2
    if double in line or line.startswith(separator):
        line = re.sub(f"(?:^|(?<={separator}))(?={separator})", _EMPTY, line)
    return line.replace(separator, " ")


def _positions(names: Sequence[str]) -> dict[str, int]:
    return {field: position for field, position in find_fields(names).items() if field in USED}


def _count(order: str) -> int:
    return sum(len(_PARTS[part]) for part in order)


def _fits(order: str, values: np.ndarray) -> bool:
    start = 0
    for part in order:
        columns = values[:, start : start + len(_PARTS[part])]
        start += len(_PARTS[part])
        if part == "c" and not _are_colors(columns):
            return False
        if part == "n" and not _are_normals(columns):
            return False
        if part == "a" and not (columns == columns[0]).all():
            return False
    return True


def _are_colors(values: np.ndarray) -> bool:
    low, high = values.min(), values.max()
    return bool(low >= 0 and (high <= 1 or (high <= 255 and (values % 1 == 0).all()))) and not _are_normals(values)


def _are_normals(values: np.ndarray) -> bool:
    """Whether nearly all rows have the length 1; the others are often 0."""
    length = np.linalg.norm(values, axis=1)
    return bool((np.abs(length - 1) < 0.02).mean() > 0.9 and length.max() < 1.02)


def _list_unused(names: Sequence[str]) -> str:
    used = _positions(names).values()
    rest = [name.strip() for position, name in enumerate(names) if position not in used]
    return f" ({', '.join(rest)} not used)" if rest else ""


def _explain(names: Sequence[str]) -> str:
    return f"name them in the first line to be sure, as in: {' '.join(names)}"
