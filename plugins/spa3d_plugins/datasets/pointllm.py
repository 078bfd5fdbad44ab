"""Dataset ``pointllm``: clouds in ``8192_npy/``, conversations in ``anno_data/*.json``.

All entries about one object within a split form one record, whose id is the object's id. An optional file
``facts_<split>.json`` holds facts about the objects; with it, new questions about the facts are drawn in each epoch.
Annotations are checked when a split is first used, clouds when they are read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from spa3d.contracts.dataset import Conversation, Dataset, Record, Twin
from spa3d.data.cloud_checks import Colors
from spa3d.data.formats.npy import columns, read_npy
from spa3d.data.lazy_records import LazyRecords
from spa3d.errors import DataError, bad_records
from spa3d_plugins.datasets import cloud_edits
from spa3d_plugins.datasets.fact_questions import QUESTIONS, FreshRounds, choose_values, draw_conversations, make_fact
from spa3d_plugins.datasets.pointllm_index import SPLITS, AnnotationIndex, ObjectFacts


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
    """Annotation files of the train split; empty: every *_train.json that is no facts file."""
    val: tuple[str, ...] = ()
    """Annotation files of the val split; empty: every *_val.json that is no facts file."""
    test: tuple[str, ...] = ()
    """Annotation files of the test split; empty: every *_test.json that is no facts file."""
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


class PointLLM(Dataset):
    """Dataset in PointLLM's layout.

    Three errors are detected when a split is first used: bad entries, missing clouds, and objects that are (or whose
    group is) held out in another split. Each is a `DataError`, or with ``on_bad_data="skip"`` a line in ``skip_log``.
    An object stays as long as one of its entries is good.
    """

    Config = Config

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.up_axis = self.config.up_axis
        root = self.config.root.expanduser()
        self._clouds, self._annotations = root / self.config.clouds, root / self.config.annotations
        for flag, folder in (("root", root), ("clouds", self._clouds), ("annotations", self._annotations)):
            if not folder.is_dir():
                raise DataError(
                    f"--dataset.{flag}: there is no folder {folder}. The folder --dataset.root must contain "
                    f"{self.config.clouds}/{self.config.pattern} and {self.config.annotations}/*.json."
                )
        self._files = {split: files for split in SPLITS if (files := self._find_files(split))}
        if not self._files:
            present = ", ".join(sorted(path.name for path in self._annotations.glob("*.json"))[:8]) or "no .json"
            raise DataError(
                f"{self._annotations}: no annotation file *_train.json, *_val.json or *_test.json; found: {present}. "
                "Name your files with --dataset.train, --dataset.val and --dataset.test, separated by commas."
            )

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits with annotation files."""
        return tuple(self._files)

    def records(self, split: str) -> Sequence[Record]:
        """Records of `split`, one per object, in the order of the files, made on access."""
        if split not in self._files:
            raise DataError(f"{self._annotations}: no files for split {split!r}; there are {', '.join(self.splits)}.")
        return LazyRecords(tuple(self._index.splits[split].entries), partial(self._record, split))

    def record(self, record_id: str) -> Record:
        """Record of the object with this id; ``<id>~<number>`` is its twin."""
        for split, index in self._index.splits.items():
            if record_id in index.entries:
                return self._record(split, record_id)
        if match := cloud_edits.TWIN_ID.fullmatch(record_id):
            twin = self.twin(self.record(match[1]), int(match[2]))
            if twin and twin.record.id == record_id:
                return twin.record
        raise DataError(f"{self._annotations}: no record {record_id!r} in {', '.join(self.splits)}.")

    def twin(self, record: Record, number: int = 0) -> Twin | None:
        """Make the `number`-th twin, recolored or stretched; None where that is impossible."""
        if record.id != record.object_id:
            return None
        try:
            return cloud_edits.cloud_twin(record, number, self.up_axis)
        except DataError:
            if self.on_bad_data == "stop":
                raise
            return None

    def conversations(self, record: Record, epoch: int) -> tuple[Conversation, ...]:
        """Annotated conversations, or captions and newly drawn rounds for objects with facts."""
        return draw_conversations(record, self.config.seed, epoch, self.config)

    def fingerprint(self) -> str:
        """Hash of configuration (without root), annotations, and the contents of all clouds in use."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        used = {self._cloud_name(record_id) for index in self._index.splits.values() for record_id in index.entries}
        clouds = [entry.name for entry in os.scandir(self._clouds) if entry.name in used]
        what = {
            "config": self.config.model_dump(mode="json", exclude={"root"}),
            "annotations": {split: index.digests for split, index in self._index.splits.items()},
            "records": {split: len(index.entries) for split, index in self._index.splits.items()},
            "clouds": self.file_hashes.hash_names(self._clouds, clouds),
        }
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    @cached_property
    def _index(self) -> AnnotationIndex:
        facts = {split: self._annotations / f"facts_{split}.json" for split in self._files}
        index = AnnotationIndex(
            self._files, facts, self._clouds, self._cloud_name, allow_text_only=self.config.allow_text_only
        )
        if index.errors and self.on_bad_data == "stop":
            raise bad_records(index.errors)
        self.skip_log.add(*index.errors, *index.corrupt)
        others = {path.name for path in self._annotations.glob("facts*.json")} - {path.name for path in facts.values()}
        names = ", ".join(path.name for path in facts.values())
        self.skip_log.note(
            *index.notes,
            *(f"{self._annotations / name}: not read; facts are read from {names}." for name in sorted(others)),
        )
        return index

    @cached_property
    def _columns(self) -> int:
        """Number of columns of the first readable cloud; all others must have the same number."""
        for index in self._index.splits.values():
            for record_id in index.entries:
                try:
                    return columns(self._clouds / self._cloud_name(record_id), record_id=record_id)
                except DataError:  # raised again when that cloud is loaded
                    continue
        return 6

    @cached_property
    def _values(self) -> dict[str, tuple[str, ...]]:
        """Kind of fact → the values used as options."""
        counts = {kind: self._index.counts(kind) for kind in QUESTIONS}
        return choose_values(counts, min_category=self.config.min_category)

    def _find_files(self, split: str) -> tuple[Path, ...]:
        configured = tuple(self._annotations / name for name in getattr(self.config, split))
        missing = [path for path in configured if not path.is_file()]
        if missing:
            raise DataError(f"--dataset.{split}: there is no file {missing[0]}.")
        paths = sorted(path for path in self._annotations.glob(f"*_{split}.json") if not path.name.startswith("facts_"))
        return configured or tuple(paths)

    def _cloud_name(self, object_id: str) -> str:
        return str(self.config.pattern.replace("{id}", object_id))

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
            load=self._loader(object_id),
            conversations=conversations,
            facts=tuple(make_fact(kind, answer, self._values[kind]) for kind, answer in known.answers().items()),
            category=known.category,
            has_color=known.has_color and self._columns == 6,
        )

    def _loader(self, object_id: str) -> Callable[[], np.ndarray]:
        path = self._clouds / self._cloud_name(object_id)
        return partial(read_npy, path, record_id=object_id, colors=self.config.colors, columns=self._columns)
