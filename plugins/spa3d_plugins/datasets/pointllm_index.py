"""Index of a PointLLM folder: the entries of each object, and errors in the other entries.

Annotation files are parsed once. Each entry is checked and only its position is stored, so 660,000 entries need little
memory.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from spa3d.contracts.dataset import Conversation
from spa3d.data.cloud_checks import cloud_location
from spa3d.data.conversations import JsonArray, conversation, object_of
from spa3d.data.entry_layouts import standardize
from spa3d.data.foreign_layouts import describe_entry
from spa3d.data.holdout import held_out_groups
from spa3d.data.keys import refuse_misspelled
from spa3d.errors import DataError
from spa3d_plugins.datasets.pointllm_clouds import CloudFiles
from spa3d_plugins.datasets.pointllm_files import SPLITS, AnnotationFiles

CORRUPT = frozenset({"6760e543e1d645d5aaacd3803bcae524", "b91c0711149d460a8004f9c06d3b7f38"})
"""Objects with corrupt colors in the published clouds; PointLLM leaves them out as well."""


class ObjectFacts(BaseModel):
    """Facts about one object from a facts file; the index notes unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", str_min_length=1, str_strip_whitespace=True)

    object_id: str
    category: str | None = None
    group: str | None = None
    has_color: bool = True
    main_color: str | None = None
    shape: str | None = None

    def answers(self) -> dict[str, str]:
        """Known facts: kind → value."""
        color = self.main_color if self.has_color else None
        answers = {"category": self.category, "color": color, "shape": self.shape}
        return {kind: answer for kind, answer in answers.items() if answer is not None}


@dataclass
class SplitIndex:
    """The objects of one split.

    Attributes:
        files: the annotation files.
        entries: object → its entries, in the order of the files; entry ``e`` of file ``f`` is ``e * len(files) + f``.
        known: object → its facts from the facts file.
        digests: SHA-256 of every file read, facts included.

    """

    files: list[JsonArray] = field(default_factory=list)
    entries: dict[str, tuple[int, ...]] = field(default_factory=dict)
    known: dict[str, ObjectFacts] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)

    def conversations(self, object_id: str, *, allow_text_only: bool) -> tuple[Conversation, ...]:
        """Read all conversations about an object."""
        entries = (divmod(number, len(self.files)) for number in self.entries[object_id])
        return tuple(
            conversation(standardize(self.files[file][entry], "")[0], object_id, allow_text_only=allow_text_only)
            for entry, file in entries
        )


class AnnotationIndex:
    """The index of all splits.

    Args:
        files: the annotation files.
        clouds: the clouds; the index adds the files that entries name.
        allow_text_only: accept entries without ``<point>``.
        val_share: share of the objects of train that is held out as val; 0: none.

    Attributes:
        splits: one index per split.
        errors: one line per entry or object left out, with file and record.
        corrupt: one line per object known to be corrupt; it is left out without an error.
        notes: one line per facts file with entries or keys that are not used.

    Raises:
        DataError: an annotation file is missing or is no JSON array.

    """

    def __init__(
        self, files: AnnotationFiles, clouds: CloudFiles, *, allow_text_only: bool, val_share: float = 0
    ) -> None:
        self.errors: list[str] = []
        self.corrupt: list[str] = []
        self.notes: list[str] = [*files.notes]
        self._files, self._clouds, self._allow_text_only = files, clouds, allow_text_only
        self._present, self._reserved = clouds.list_names(), files.read_reserved()
        self._taken: dict[str, str] = {}
        # Held-out splits come first: an object that is also in train, or whose group is, is removed from train.
        indexed = {split: self._index(split) for split in reversed(list(files.splits))}
        if val_share:
            indexed["val"] = self._hold_out(indexed["train"], val_share)
        self.splits = {split: indexed[split] for split in SPLITS if split in indexed}
        self._present, self._reserved = set(), frozenset()  # not needed any more, and large
        self._taken.clear()

    def _index(self, split: str) -> SplitIndex:
        index, shown = SplitIndex(), set[str]()
        unknown_keys = Counter[str]()
        facts, paths = self._files.facts[split], self._files.splits[split]
        if os.path.lexists(facts):  # a folder or a broken link is an error, not a missing file
            index.digests.append(JsonArray(facts, self._fact_reader(index, facts, unknown_keys)).digest)
        for number, path in enumerate(paths):
            foreign = Counter[str]()
            read = self._entry_reader(index, shown, path, (number, len(paths)), foreign)
            index.files.append(JsonArray(path, read, by_id=True))
            index.digests.append(index.files[-1].digest)
            for what, count in foreign.items():
                if count == len(index.files[-1]):
                    raise DataError(f"{path}: all {count} entries look like {what}.")
        if split == "train":
            self._leave_out_reserved(index)
        for object_id in list(index.entries):
            error = self._split_error(object_id, split, index.known.get(object_id), shown)
            if error:
                self.errors.append(error)
                del index.entries[object_id]
        self._note_unused_facts(facts, index, unknown_keys)
        groups = {self._group(object_id, index.known.get(object_id)) for object_id in index.entries}
        self._taken.update(dict.fromkeys(groups, split))
        return index

    def _entry_reader(
        self, index: SplitIndex, shown: set[str], path: Path, file: tuple[int, int], foreign: Counter[str]
    ) -> Callable[[int, Any], None]:
        number, files = file

        def read(entry_number: int, entry: Any) -> None:
            where = f"{path}, entry {entry_number}"
            try:
                standard, named = standardize(entry, where)
                object_id = object_of(standard, where)
                if object_id in CORRUPT:
                    self.corrupt.append(f"{where} (record {object_id}): known to have corrupt colors; left out.")
                    return
                sampled = conversation(standard, f"{where} (record {object_id})", allow_text_only=self._allow_text_only)
                self._name_cloud(object_id, named, f"{where} (record {object_id})")
            except DataError as error:
                what = describe_entry(entry)
                foreign[what] += bool(what)
                self.errors.append(f"{error} It looks like {what}." if what else str(error))
                return
            index.entries[object_id] = (*index.entries.get(object_id, ()), entry_number * files + number)
            if sampled.has_cloud:
                shown.add(object_id)

        return read

    def _name_cloud(self, object_id: str, named: str | None, where: str) -> None:
        """Remember the file that an entry names; raises `DataError` if another entry names another one."""
        if named is not None and self._clouds.named.setdefault(object_id, named) != named:
            raise DataError(f"{where}: its cloud is {named}, and {self._clouds.named[object_id]} in another entry.")

    def _leave_out_reserved(self, index: SplitIndex) -> None:
        """Leave the objects that PointLLM reserves for evaluation out of train, and note how many."""
        reserved = index.entries.keys() & self._reserved
        for object_id in reserved:
            del index.entries[object_id]
        if reserved:
            names = ", ".join(path.name for path in self._files.reserved)
            self.notes.append(
                f"{self._files.folder}: {len(reserved)} objects of train are reserved for evaluation ({names}); left "
                "out of train."
            )

    def _hold_out(self, train: SplitIndex, share: float) -> SplitIndex:
        """Move a share of the objects out of train, whole groups by a hash of their names."""
        groups = {object_id: self._group(object_id, train.known.get(object_id)) for object_id in train.entries}
        held = held_out_groups(groups.values(), share)
        entries = {object_id: train.entries[object_id] for object_id in groups if groups[object_id] in held}
        for object_id in entries:
            del train.entries[object_id]
        self.notes.append(
            f"{self._files.folder}: no val split is published; {len(entries)} of the {len(groups)} training objects, "
            "chosen by a hash of their names, are held out as val (--dataset.val_share)."
        )
        return SplitIndex(train.files, entries, train.known, train.digests)

    def _note_unused_facts(self, path: Path, index: SplitIndex, unknown_keys: Mapping[str, int]) -> None:
        """Note entries about objects without annotations, and keys that are not read."""
        unused = [object_id for object_id in index.known if object_id not in index.entries]
        if unused:
            self.notes.append(
                f"{path}: {len(unused)} of {len(index.known)} entries are about objects that the split does not have, "
                f"the first about {unused[0]!r}; they are not used."
            )
        for key, count in unknown_keys.items():
            self.notes.append(f"{path}: key {key!r}, in {count} entries, is not read.")

    def _fact_reader(self, index: SplitIndex, path: Path, unknown_keys: Counter[str]) -> Callable[[int, Any], None]:
        def read(entry_number: int, entry: Any) -> None:
            where = f"{path}, entry {entry_number}"
            try:
                object_id = object_of(entry, where)
                refuse_misspelled(entry, ObjectFacts.model_fields, f"{where} (record {object_id})")
                unknown_keys.update(entry.keys() - ObjectFacts.model_fields.keys())
                known = ObjectFacts.model_validate(entry)
            except DataError as error:
                self.errors.append(str(error))
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                location = ".".join(map(str, first["loc"]))
                self.errors.append(f"{where} (record {object_id}): {location}: {first['msg'].lower()}.")
            else:
                if object_id in index.known:
                    self.errors.append(f"{where} (record {object_id}): a second entry of facts; the first is used.")
                index.known.setdefault(object_id, known)

        return read

    def _split_error(self, object_id: str, split: str, known: ObjectFacts | None, shown: set[str]) -> str | None:
        """Reason to leave an object with good entries out of a split; None without one."""
        problem = self._clouds.problem(object_id, self._present) if object_id in shown else ""
        group = self._group(object_id, known)
        if not problem and group not in self._taken:
            return None
        where = cloud_location(self._clouds.path(object_id), object_id)
        if problem:
            return f"{where}: cannot be read: {problem}."
        subject = "the object" if group == object_id else f"its group {group!r}"
        return f"{where}: in {split}, but {subject} is held out in {self._taken[group]}."

    @staticmethod
    def _group(object_id: str, known: ObjectFacts | None) -> str:
        return (known.group if known else None) or object_id

    def counts(self, kind: str) -> Counter[str]:
        """Number of objects per value of a kind of fact: in train, or in all splits without train."""
        splits = [self.splits["train"]] if "train" in self.splits else list(self.splits.values())
        return Counter(
            answers[kind]
            for index in splits
            for object_id in index.entries
            if object_id in index.known and kind in (answers := index.known[object_id].answers())
        )
