"""Index of a folder: usable clouds by split, with their texts, categories and groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from spa3d.contracts.dataset import Conversation, OnBadData
from spa3d.errors import DataError, RecordError, bad_records
from spa3d.rendering.numbers import format_count
from spa3d.runtime.file_hashes import FileHashes
from spa3d_plugins.datasets.folder_layout.annotations import Annotation, Annotations
from spa3d_plugins.datasets.folder_layout.files import FolderFiles
from spa3d_plugins.datasets.folder_layout.groups import GroupBy, group_clouds
from spa3d_plugins.datasets.folder_layout.names import SPLITS, article, folder_category, name_category
from spa3d_plugins.datasets.folder_layout.splits import SplitBy, SplitReader, Splits, crossing_groups, draw_missing
from spa3d_plugins.datasets.folder_layout.texts import make_caption

CategoryFrom = Literal["auto", "folder", "name", "none"]


@dataclass(frozen=True)
class Rules:
    """How categories, splits and groups are found; see the settings of the dataset."""

    category: CategoryFrom
    split_by: SplitBy
    shares: Mapping[str, float]
    group_by: GroupBy
    seed: int
    on_bad_data: OnBadData = "stop"


class FolderIndex:
    """The index of all splits.

    Args:
        files: the files of the folder.
        rules: how categories, splits and groups are found.
        hashes: hashes of files, to find equal ones.

    Attributes:
        splits: split → ids of its clouds, in the order of their files' names.
        groups: id → group of look-alikes.
        errors: one line per file or entry that is left out.
        notes: what is guessed, drawn or not read.

    Raises:
        DataError: the folder as a whole cannot be used, or there are errors and they stop.

    """

    def __init__(self, files: FolderFiles, rules: Rules, hashes: FileHashes) -> None:
        self._files = files
        annotations = Annotations(files)
        self._annotations = annotations.by_id
        self.errors = [*files.errors, *annotations.errors]
        self.notes = [*files.notes, *annotations.notes]
        self._categories = self._find_categories(rules.category, with_texts=annotations.with_texts)
        usable = self._select_described(with_texts=annotations.with_texts)
        stated = SplitReader(files, self._column("split"), rules.split_by).read()
        self.errors += stated.errors
        self.notes += stated.notes
        grouped = group_clouds(files, self._column("group"), rules.group_by, hashes)
        grouped = {record_id: grouped[record_id] for record_id in usable}
        paths = {record_id: f"{files.root}/{files.clouds[record_id]}" for record_id in usable}
        for record_id, line in list(crossing_groups(stated.by_id, grouped, paths)):
            self.errors.append(line)
            del grouped[record_id], stated.by_id[record_id]
        self.groups = {record_id: group for record_id, (group, _) in grouped.items()}
        if self.errors and rules.on_bad_data == "stop":
            raise bad_records(self.errors)
        self.splits = self._split(stated, rules)

    def _split(self, stated: Splits, rules: Rules) -> dict[str, tuple[str, ...]]:
        """Ids of each split, the missing ones drawn."""
        drawn = Splits(stated.by_id)
        try:
            draw_missing(drawn, self.groups, rules.shares, rules.seed)
        except DataError as error:
            left_out = (
                f" {len(self.errors)} errors in files and texts, the first: {self.errors[0]}" if self.errors else ""
            )
            raise DataError(f"{self._files.root}: {error}{left_out}") from error
        self.notes += drawn.notes
        return {
            split: tuple(record_id for record_id in self.groups if drawn.by_id.get(record_id) == split)
            for split in SPLITS
        }

    def conversations(self, record_id: str) -> tuple[Conversation, ...]:
        """The texts of a cloud, or a caption made from its category."""
        texts = self._annotation(record_id).conversations
        category = self._categories.get(record_id)
        return tuple(texts) or ((_name_object(category),) if category else ())

    def facts(self, record_id: str) -> dict[str, str]:
        """Known facts of a cloud: kind → value."""
        category = self._categories.get(record_id)
        return self._annotation(record_id).facts() | ({"category": category} if category else {})

    def counts(self, kind: str) -> Counter[str]:
        """Number of training clouds per value of a kind of fact."""
        return Counter(known[kind] for record_id in self.splits["train"] if kind in (known := self.facts(record_id)))

    def _annotation(self, record_id: str) -> Annotation:
        return self._annotations.get(record_id) or Annotation()

    def _column(self, name: str) -> dict[str, str]:
        return {
            record_id: annotation.properties[name]
            for record_id, annotation in self._annotations.items()
            if name in annotation.properties
        }

    def _find_categories(self, rule: CategoryFrom, *, with_texts: bool) -> dict[str, str]:
        """Categories that the texts state; for other clouds those of the names, as `rule` says."""
        stated = self._column("category")
        if rule == "none" or (rule == "auto" and with_texts):
            return stated
        names = self._files.clouds
        named = {record_id: folder_category(name) for record_id, name in names.items()}
        if rule == "auto":  # folders if most clouds are in one, and file names for the others
            sorted_out, by_file = [*filter(None, named.values())], {key: name_category(names[key]) for key in names}
            sorted_well = len(set(sorted_out)) > 1 and 2 * len(sorted_out) >= len(named)
            rule = "folder" if sorted_well or not any(by_file.values()) else "name"
            named = {key: (rule == "folder" and named[key]) or by_file[key] for key in names}
        elif rule == "name":
            named = {record_id: name_category(name) for record_id, name in names.items()}
        categories = {record_id: category for record_id, category in named.items() if category} | stated
        if named.keys() - stated.keys() and categories:
            first = next(record_id for record_id in named if record_id not in stated and record_id in categories)
            count, source = len(set(categories.values())), "folders" if rule == "folder" else "files"
            self.notes.append(
                f"{count} categories from the names of {source} (--dataset.category {rule}), such as "
                f"{categories[first]!r} for {names[first]}."
            )
        return categories

    def _select_described(self, *, with_texts: bool) -> list[str]:
        """Clouds with a text or a category; the others are errors."""
        usable, made, before = list[str](), 0, len(self.errors)
        for record_id, name in self._files.clouds.items():
            if self.conversations(record_id):
                usable.append(record_id)
                made += not self._annotation(record_id).conversations
            else:
                rest = "" if with_texts else ", and its name gives no category (--dataset.category)"
                self.errors.append(f"{self._files.path(name)}: no text is about it{rest}.")
        if not usable:
            count = format_count(len(self._files.clouds), "cloud")
            raise RecordError(
                self.errors[:before],
                f"{self._files.root}: nothing says what is in the {count}; give captions "
                "(captions.csv with columns file and caption), or sort the files into folders named by category."
                + "".join(f" {note}" for note in self._files.notes[:1]),
            )
        if made:
            self.notes.append(f"{made} of {len(usable)} clouds have no text: a caption is made from the category.")
        return usable


def _name_object(category: str) -> Conversation:
    return make_caption(f"{article(category).capitalize()} {category}.")
