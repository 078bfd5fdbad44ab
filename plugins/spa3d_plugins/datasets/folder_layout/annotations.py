"""What tables and text files say of the clouds of a folder."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spa3d.contracts.dataset import CAPTION, Conversation
from spa3d.data.foreign_layouts import describe_entry
from spa3d.data.keys import refuse_misspelled
from spa3d.errors import DataError
from spa3d.runtime.text_files import read_text
from spa3d_plugins.datasets.folder_layout.columns import NAMES, PROPERTIES, TEXTS
from spa3d_plugins.datasets.folder_layout.files import FolderFiles
from spa3d_plugins.datasets.folder_layout.lookup import CloudNames
from spa3d_plugins.datasets.folder_layout.names import SPLITS, find_split
from spa3d_plugins.datasets.folder_layout.tables import Row, read_table
from spa3d_plugins.datasets.folder_layout.texts import read_conversations

LONGEST_WORD = 200
"""Most characters of a category, a group and the like."""
LISTED = 20
"""Entries without a cloud that are listed one by one, per table; the others are counted."""


@dataclass
class Annotation:
    """What is said of one cloud.

    Attributes:
        conversations: the conversations, in the order of the files.
        properties: column → value.
        places: where a text or a property comes from.

    """

    conversations: list[Conversation] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    places: dict[Conversation | str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, str]:
        """Known facts: kind → value."""
        kinds = {"category": "category", "main_color": "color", "shape": "shape"}
        return {kind: self.properties[name] for name, kind in kinds.items() if name in self.properties}


class Annotations:
    """What the texts of a folder say of its clouds.

    Args:
        files: the files of the folder.

    Attributes:
        by_id: cloud → what is said of it; only clouds that a text names.
        with_texts: whether any entry or file is meant to have a text.
        errors: one line per entry, or part of one, that is not used.
        notes: what is guessed, or not read.

    Raises:
        DataError: a table as a whole cannot be used.

    """

    def __init__(self, files: FolderFiles) -> None:
        self.by_id: dict[str, Annotation] = {}
        self.with_texts = bool(files.captions)
        self.errors: list[str] = []
        self.notes: list[str] = []
        self._names = CloudNames(files.root, files.clouds)
        for path in files.tables:
            self._read(path)
        for record_id, name in files.captions.items():
            self._read_caption(record_id, files.path(name))
        self._note_several_captions()

    def _read(self, path: Path) -> None:
        table = read_table(path)
        self.errors += table.errors
        self.notes += table.notes
        if not table.rows:
            raise DataError(f"{path}: no entry with a text. {' '.join(table.errors[:1])}".strip())
        unread, checked, nameless = Counter[str](), set[frozenset[str]](), list[str]()
        for row in table.rows:
            unread.update(row.values.keys() - {*NAMES, *TEXTS, *PROPERTIES})
            self.with_texts = self.with_texts or bool(row.empty or row.values.keys() & set(TEXTS))
            if (keys := frozenset(row.values)) not in checked:
                checked.add(keys)
                self._check_columns(row)
            try:
                record_id = self._find_cloud(row, path, nameless)
                if record_id is not None:
                    self._add(self.by_id.setdefault(record_id, Annotation()), record_id, row)
            except DataError as error:
                self.errors.append(str(error))
        self._report_nameless(path, nameless, len(table.rows))
        for key, count in unread.items():
            known = ", ".join((*NAMES, *TEXTS, *PROPERTIES))
            self.notes.append(f"{path}: column {key!r} ({count} times) is not read; read are {known}.")

    def _check_columns(self, row: Row) -> None:
        names = () if row.values.keys() & set(NAMES) else NAMES
        try:
            refuse_misspelled(row.values, (*names, *TEXTS, *PROPERTIES), row.where)
        except DataError as error:
            self.errors.append(str(error))

    def _find_cloud(self, row: Row, path: Path, nameless: list[str]) -> str | None:
        """Id of the cloud of a row; None, with a line in `nameless`, if there is no such cloud."""
        try:
            return self._names.find(_cloud_name(row), path)
        except DataError as error:
            layout = describe_entry(row.values)
            nameless.append(f"{row.where}: {error}" + (f" This looks like {layout}." if layout else ""))
            return None

    def _report_nameless(self, path: Path, nameless: list[str], rows: int) -> None:
        if len(nameless) == rows:
            raise DataError(f"{path}: none of its {rows} entries names a cloud. {nameless[0]}")
        self.errors += nameless[:LISTED]
        if len(nameless) > LISTED:
            rest = len(nameless) - LISTED
            self.errors.append(f"{path}: {rest} more of its {rows} entries name no cloud.")

    def _add(self, annotation: Annotation, record_id: str, row: Row) -> None:
        for name in PROPERTIES:
            if name in row.values:
                self._set(annotation, record_id, name, row)
        if row.empty and not row.values.keys() & set(TEXTS):
            raise DataError(f"{row.where}: {row.empty[0]} is empty.")
        for conversation in read_conversations(row):
            self._append(annotation, record_id, conversation, row.where)

    def _append(self, annotation: Annotation, record_id: str, conversation: Conversation, where: str) -> None:
        """Add a conversation; raises `DataError` if the cloud has the same one already."""
        if conversation in annotation.places:
            first = annotation.places[conversation]
            raise DataError(f"{where}: the same text of cloud {record_id!r} as in {first}; the first is used.")
        annotation.places[conversation] = where
        annotation.conversations.append(conversation)

    def _set(self, annotation: Annotation, record_id: str, name: str, row: Row) -> None:
        value = _read_property(row.values[name], name, row.where)
        first = annotation.properties.setdefault(name, value)
        if first != value:
            raise DataError(
                f"{row.where}: {name} {value!r} of cloud {record_id!r}, but {first!r} in {annotation.places[name]}; "
                "the first is used."
            )
        annotation.places.setdefault(name, row.where)

    def _read_caption(self, record_id: str, path: Path) -> None:
        try:
            caption = Row(str(path), {"caption": read_text(path).strip()})
            for conversation in read_conversations(caption):
                self._append(self.by_id.setdefault(record_id, Annotation()), record_id, conversation, str(path))
        except DataError as error:
            self.errors.append(str(error))

    def _note_several_captions(self) -> None:
        several = sum(
            sum(conversation.kind == CAPTION for conversation in annotation.conversations) > 1
            for annotation in self.by_id.values()
        )
        if several:
            self.notes.append(
                f"{several} clouds have several captions: training uses all of them, the benchmarks the first."
            )


def _cloud_name(row: Row) -> str:
    column = next((name for name in NAMES if name in row.values), None)
    if column is None:
        raise DataError(f"no cloud is named; a row has one of {', '.join(NAMES)}.")
    name = row.values[column]
    if isinstance(name, list) and len(name) == 1:
        name = name[0]
    if not isinstance(name, str | int) or isinstance(name, bool):
        raise DataError(f"{column} is {json.dumps(name)[:60]}; the name of one cloud is expected.")
    return str(name)


def _read_property(value: Any, name: str, where: str) -> str:
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if not text or len(text) > LONGEST_WORD or not text.isprintable():
        raise DataError(f"{where}: {name} is {json.dumps(value)[:60]}; a word or a few are expected.")
    if name != "split":
        return text
    split = find_split(text)
    if split is None:
        raise DataError(f"{where}: split {text[:60]!r}; possible: {', '.join(SPLITS)}")
    return split
