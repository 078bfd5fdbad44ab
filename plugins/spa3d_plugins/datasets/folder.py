"""Dataset ``folder``: clouds and meshes below a folder, with texts beside them or names.

Every file below the folder that has the ending of a known format is a cloud. Texts come from tables
(``captions.csv``, ``metadata.jsonl`` …) and from text files beside the clouds; without texts, captions are made from
the names of folders or files. Texts are checked when a split is first used, clouds when they are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from spa3d.contracts.dataset import CloudArray, Fact, Record
from spa3d.data.cloud_checks import Colors, cloud_location
from spa3d.data.formats.contract import MESH_POINTS, MOST_POINTS, Reading, note_kind
from spa3d.data.formats.read import parse_cloud
from spa3d.data.lazy_records import LazyRecords
from spa3d.errors import DataError
from spa3d_plugins.datasets import cloud_edits
from spa3d_plugins.datasets.color_names import WORDS, main_color
from spa3d_plugins.datasets.described_clouds import DescribedClouds
from spa3d_plugins.datasets.fact_questions import QUESTIONS, FreshRounds, choose_values, make_fact
from spa3d_plugins.datasets.folder_layout.files import find_files
from spa3d_plugins.datasets.folder_layout.groups import GroupBy
from spa3d_plugins.datasets.folder_layout.index import CategoryFrom, FolderIndex, Rules
from spa3d_plugins.datasets.folder_layout.splits import SplitBy

MOST_NOTES = 50
"""Different notes of clouds that are passed on; notes that differ in their numbers are alike."""


class FolderConfig(FreshRounds):
    """Location of the files, and how records are made from them."""

    root: Path
    """Folder of the clouds; all folders below it are searched."""
    texts: tuple[str, ...] = ()
    """Tables of texts (.csv, .tsv, .json, .jsonl); empty: those named captions, annotations, conversations or metadata,
    and a .txt beside a cloud."""
    category: CategoryFrom = "auto"
    """Source of categories that no text states: names of folders, names of files, or none; auto: none with texts, else
    folders if most clouds are in one, else file names."""
    split_by: SplitBy = "auto"
    """Source of the splits: folders, list files, the column split, or keyed hashes; auto: what is there, or hashes."""
    val_share: float = Field(0.1, gt=0, lt=1)
    """Share of the clouds drawn for val, if no split val is stated."""
    test_share: float = Field(0.1, gt=0, lt=1)
    """Share of the clouds drawn for test, if no split test is stated."""
    group_by: GroupBy = "content"
    """Which clouds are look-alikes, besides those of one group in the texts: files of equal content, or also those of
    similar names."""
    colors: Colors = "0-1"
    """Range of the colors in files that do not state it."""
    up_axis: Literal["x", "y", "z"] = "y"
    """Axis that points up in the clouds."""
    mesh_points: int = Field(MESH_POINTS, ge=1, le=MOST_POINTS)
    """Points drawn from a mesh."""
    color_facts: bool = False
    """Measure the main color of each colored cloud and ask for it; reads every cloud once more."""
    min_category: int = Field(1, ge=1, le=10**9)
    """Training objects that a category needs to be an option; rarer categories get open questions only."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Seed of the drawn splits, of points drawn from meshes and of newly drawn rounds."""

    @model_validator(mode="after")
    def _leaves_train(self) -> Self:
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share and test_share together must be less than 1, for train gets the rest")
        return self


class Folder(DescribedClouds):
    """Dataset of the files below a folder.

    Files that cannot be used, texts without a cloud, clouds without a text and look-alikes across given splits are
    found when a split is first used. Each is a `DataError`, or with ``on_bad_data="skip"`` a line in ``skip_log``.
    """

    Config = FolderConfig
    config: FolderConfig

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.up_axis = self.config.up_axis
        self.folder = self.config.root.expanduser()
        self._files = find_files(self.folder, self.config.texts)
        self._noted = set[str]()
        self._colors = dict[str, str | None]()

    @property
    def splits(self) -> tuple[str, ...]:
        """Train, val and test."""
        return tuple(self._index.splits)

    def records(self, split: str) -> Sequence[Record]:
        """Records of `split`, one per cloud, in the order of the files' names, made on access."""
        if split not in self._index.splits:
            raise DataError(f"{self.folder}: no split {split!r}; there are {', '.join(self.splits)}.")
        return LazyRecords(self._index.splits[split], self._record)

    def original(self, record_id: str) -> Record | None:
        """Record of the cloud with this id; None for a twin's."""
        return self._record(record_id) if record_id in self._index.groups else None

    def fingerprint(self) -> str:
        """Hash of configuration (without root), and of names and contents of all files in use."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        files, index = self._files, self._index
        names = [*map(files.clouds.__getitem__, index.groups), *files.companions]
        tables = [str(path) for path in files.tables]
        paths = [*map(files.path, names), *files.tables]
        what = {
            "config": self.config.model_dump(mode="json", exclude={"root", "texts"}),
            "files": list(zip([*names, *map(_last, tables)], self.file_hashes.hash_files(paths), strict=True)),
            "records": {
                split: [(each, index.groups[each], repr(index.conversations(each))) for each in ids]
                for split, ids in index.splits.items()
            },
        }
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    @cached_property
    def _index(self) -> FolderIndex:
        settings = self.config
        shares = {"val": settings.val_share, "test": settings.test_share}
        rules = Rules(settings.category, settings.split_by, shares, settings.group_by, settings.seed, self.on_bad_data)
        index = FolderIndex(self._files, rules, self.file_hashes)
        self.skip_log.add(*index.errors)
        self.skip_log.note(*index.notes)
        return index

    @cached_property
    def _values(self) -> dict[str, tuple[str, ...]]:
        """Kind of fact → the values used as options."""
        counts = {kind: self._index.counts(kind) for kind in QUESTIONS}
        values = choose_values(counts, min_category=self.config.min_category)
        return values | ({"color": WORDS} if self.config.color_facts else {})

    def _record(self, record_id: str) -> Record:
        return Record(
            id=record_id,
            object_id=record_id,
            group=self._index.groups[record_id],
            load=partial(self._load, record_id),
            conversations=self._index.conversations(record_id),
            facts=self._facts(record_id),
            category=self._index.facts(record_id).get("category"),
            has_color=None,
        )

    def _facts(self, record_id: str) -> tuple[Fact, ...]:
        known = self._index.facts(record_id)
        if self.config.color_facts and "color" not in known and (color := self._measure_color(record_id)):
            known["color"] = color
        return tuple(make_fact(kind, known[kind], self._values[kind]) for kind in QUESTIONS if kind in known)

    def _measure_color(self, record_id: str) -> str | None:
        """Main color of a colored, readable cloud, if one clearly leads."""
        if record_id not in self._colors:
            try:
                cloud = self._load(record_id)
            except DataError:  # raised again where the cloud is needed
                return None
            main = main_color(cloud) if cloud[:, 3:].any() else None
            self._colors[record_id] = main.word if main and main.lead >= cloud_edits.LEAD else None
        return self._colors[record_id]

    def _load(self, record_id: str) -> CloudArray:
        path = self._files.path(self._files.clouds[record_id])
        where = cloud_location(path, record_id)
        key = ("mesh", self.config.seed, record_id)
        cloud = parse_cloud(path, Reading(self.config.colors, self.config.mesh_points, key, where))
        for note in cloud.notes:
            kind = note_kind(note)
            if kind not in self._noted and len(self._noted) < MOST_NOTES:
                self._noted.add(kind)
                self.skip_log.note(f"{path}: {note} (such a note is listed for one cloud only)")
        return cloud.to_array(where=where)


def _last(path: str) -> str:
    return Path(path).name
