"""Dataset ``pointllm``: clouds in ``8192_npy/``, conversations in ``anno_data/*.json``.

The names of PointLLM's published files are known (`pointllm_files`), and so are the keys of related projects
(`spa3d.data.entry_layouts`). All entries about one object within a split form one record, whose id is the object's id.
An optional file ``facts_<split>.json`` holds facts about the objects; with it, new questions about the facts are drawn
in each epoch. Annotations are checked when a split is first used, clouds when they are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from spa3d.contracts.dataset import Record
from spa3d.data.cloud_checks import Colors
from spa3d.data.lazy_records import LazyRecords
from spa3d.errors import DataError, bad_records
from spa3d_plugins.datasets.described_clouds import DescribedClouds
from spa3d_plugins.datasets.fact_questions import QUESTIONS, FreshRounds, choose_values, make_fact
from spa3d_plugins.datasets.pointllm_clouds import CloudFiles
from spa3d_plugins.datasets.pointllm_files import OTHER_FOLDERS, SPLITS, find_files, find_folder
from spa3d_plugins.datasets.pointllm_index import AnnotationIndex, ObjectFacts


class Config(FreshRounds):
    """Location of the files, and how records and questions are made from them."""

    root: Path
    """Folder that contains the folders of clouds and annotations."""
    clouds: str = "8192_npy"
    """Folder of the clouds, below root."""
    annotations: str = "anno_data"
    """Folder of the JSON files, below root."""
    pattern: str = "{id}_8192.npy"
    """File name of an object's cloud; {id} stands for its object_id."""
    train: tuple[str, ...] = ()
    """Annotation files of the train split; empty: every *_train.json that is no facts file, or the published ones."""
    val: tuple[str, ...] = ()
    """Annotation files of the val split; empty: every *_val.json that is no facts file."""
    test: tuple[str, ...] = ()
    """Annotation files of the test split; empty: every *_test.json that is no facts file, or PointLLM's references."""
    val_share: float = Field(0.01, ge=0, le=0.5)
    """Share of the objects held out of PointLLM's published training files as val; other files name their own."""
    colors: Colors = "0-1"
    """Range of the colors in the clouds' files."""
    up_axis: Literal["x", "y", "z"] = "y"
    """Axis that points up in the clouds."""
    allow_text_only: bool = False
    """Accept conversations without <point> as text-only instead of rejecting them."""
    min_category: int = Field(5, ge=1, le=10**9)
    """Training objects that a category needs to be an option; rarer categories get open questions only."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Seed of the newly drawn rounds."""

    @field_validator("pattern")
    @classmethod
    def _names_the_object(cls, pattern: str) -> str:
        if "{id}" not in pattern or Path(pattern).name != pattern:
            raise ValueError("a file name with {id} in it is expected, like {id}_8192.npy")
        return pattern


class PointLLM(DescribedClouds):
    """Dataset in PointLLM's layout.

    Three errors are detected when a split is first used: bad entries, missing clouds, and objects that are (or whose
    group is) held out in another split. Each is a `DataError`, or with ``on_bad_data="skip"`` a line in ``skip_log``.
    An object stays as long as one of its entries is good.
    """

    Config = Config

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.up_axis = self.config.up_axis
        root, config = self.config.root.expanduser(), self.config
        folders = {name: find_folder(root, getattr(config, name)) for name in ("clouds", "annotations")}
        for flag, folder in (("root", root), *folders.items()):
            if not folder.is_dir():
                raise DataError(
                    f"--dataset.{flag}: there is no folder {folder}. The folder --dataset.root must contain "
                    f"{config.clouds}/{config.pattern} and {config.annotations}/*.json."
                )
        self.folder = folders["annotations"]
        self._clouds = CloudFiles(root, folders["clouds"], config.pattern, config.colors)
        self._files = find_files(self.folder, {split: getattr(config, split) for split in SPLITS})
        if not self._files.splits:
            present = ", ".join(sorted(path.name for path in self.folder.glob("*.json"))[:8]) or "no .json"
            raise DataError(
                f"{self.folder}: no annotation file *_train.json, *_val.json or *_test.json, and none of "
                f"PointLLM's; found: {present}. "
                "Name your files with --dataset.train, --dataset.val and --dataset.test, separated by commas."
            )
        self._val_share = config.val_share if self._files.original and "val" not in self._files.splits else 0

    @classmethod
    def recognizes(cls, root: Path) -> bool:
        """Whether `root` has a folder of clouds, and annotations with a known name."""
        clouds, annotations = (find_folder(root, name) for name in OTHER_FOLDERS)
        return clouds.is_dir() and annotations.is_dir() and bool(find_files(annotations, {}).splits)

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits with annotation files, and val where it is held out of train."""
        return tuple(split for split in SPLITS if split in self._files.splits or (split == "val" and self._val_share))

    def records(self, split: str) -> Sequence[Record]:
        """Records of `split`, one per object, in the order of the files, made on access."""
        if split not in self.splits:
            raise DataError(f"{self.folder}: no files for split {split!r}; there are {', '.join(self.splits)}.")
        return LazyRecords(tuple(self._index.splits[split].entries), partial(self._record, split))

    def original(self, record_id: str) -> Record | None:
        """Record of the object with this id; None for a twin's."""
        split = next((split for split, index in self._index.splits.items() if record_id in index.entries), None)
        return self._record(split, record_id) if split else None

    def fingerprint(self) -> str:
        """Hash of configuration (without root), annotations, and the contents of all clouds in use."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        used = [record_id for index in self._index.splits.values() for record_id in index.entries]
        what = {
            "config": self.config.model_dump(mode="json", exclude={"root"}),
            "annotations": {split: index.digests for split, index in self._index.splits.items()},
            "records": {split: len(index.entries) for split, index in self._index.splits.items()},
            "clouds": self._clouds.hash(used, self.file_hashes),
        }
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    @cached_property
    def _index(self) -> AnnotationIndex:
        index = AnnotationIndex(
            self._files, self._clouds, allow_text_only=self.config.allow_text_only, val_share=self._val_share
        )
        if index.errors and self.on_bad_data == "stop":
            raise bad_records(index.errors)
        self.skip_log.add(*index.errors, *index.corrupt)
        facts = [path.name for path in self._files.facts.values()]
        others = {path.name for path in self.folder.glob("facts*.json")} - {*facts}
        names = ", ".join(facts)
        self.skip_log.note(
            *index.notes,
            *(f"{self.folder / name}: not read; facts are read from {names}." for name in sorted(others)),
        )
        return index

    @cached_property
    def _columns(self) -> int:
        """Number of columns of the first readable cloud; all others must have the same number."""
        return self._clouds.columns(name for index in self._index.splits.values() for name in index.entries)

    @cached_property
    def _values(self) -> dict[str, tuple[str, ...]]:
        """Kind of fact → the values used as options."""
        counts = {kind: self._index.counts(kind) for kind in QUESTIONS}
        return choose_values(counts, min_category=self.config.min_category)

    def _record(self, split: str, object_id: str) -> Record:
        index = self._index.splits[split]
        conversations = index.conversations(object_id, allow_text_only=self.config.allow_text_only)
        known = index.known.get(object_id) or ObjectFacts(object_id=object_id)
        if not any(conversation.has_cloud for conversation in conversations):  # facts are asked about a cloud
            known = ObjectFacts(object_id=object_id, group=known.group)
        return Record(
            id=object_id,
            object_id=object_id,
            group=known.group or object_id,
            load=self._clouds.loader(object_id, self._columns),
            conversations=conversations,
            facts=tuple(make_fact(kind, answer, self._values[kind]) for kind, answer in known.answers().items()),
            category=known.category,
            has_color=self._has_color(object_id, known),
        )

    def _has_color(self, object_id: str, known: ObjectFacts) -> bool | None:
        """Whether a cloud has colors; None where only its file knows."""
        if known.has_color and not self._clouds.is_array(object_id):
            return None
        return known.has_color and self._columns == 6
