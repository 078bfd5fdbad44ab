"""Dataset ``modelnet40``: 40 kinds of objects, from PointLLM's ``.dat`` files or the folder of OFF files.

Clouds have no colors, as in PointLLM: rgb is 0, normals are dropped. Each record has one caption round and one fact,
its category with the 40 names as options. The published split has train and test; val is held out of train.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from spa3d.contracts.config import ComponentConfig
from spa3d.contracts.dataset import CAPTION, CloudArray, Conversation, Dataset, Fact, Record, Round
from spa3d.data.cloud_checks import cloud_location
from spa3d.data.formats.contract import Reading
from spa3d.data.formats.dat import LabeledClouds
from spa3d.data.formats.read import parse_cloud
from spa3d.data.holdout import held_out_groups
from spa3d.data.lazy_records import LazyRecords
from spa3d.errors import DataError, bad_records
from spa3d.runtime.paths import folder_problem

NAMES = (
    "airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car", "chair", "cone", "cup", "curtain",
    "desk", "door", "dresser", "flower pot", "glass box", "guitar", "keyboard", "lamp", "laptop", "mantel", "monitor",
    "night stand", "person", "piano", "plant", "radio", "range hood", "sink", "sofa", "stairs", "stool", "table",
    "tent", "toilet", "tv stand", "vase", "wardrobe", "xbox",
)  # fmt: skip
"""The categories; the position is the label in a ``.dat`` file."""
FOLDERS = {name.replace(" ", "_"): name for name in NAMES}
"""Name of a category's folder → name of the category."""
INNER = ("", "ModelNet40", "modelnet40", "modelnet40_data")
"""Folders below root where the files are looked for, too."""
DAT = re.compile(r"modelnet40_(train|test)_(\d{1,9})pts.*\.dat")
PUBLISHED = ("train", "test")
SPLITS = ("train", "val", "test")
UP: Mapping[str, Literal["y", "z"]] = {"dat": "y", "off": "z"}
"""Axis that points up in the published files."""

_EXPECTED = (
    "It holds modelnet40_test_8192pts_fps.dat of PointLLM (and modelnet40_train_8192pts_fps.dat), or the OFF files of "
    "ModelNet40, such as chair/train/chair_0001.off"
)


class Config(ComponentConfig):
    """Location of the files, and how records are made from them."""

    root: Path
    """Folder with modelnet40_{train,test}_*.dat, or with the folders of the categories (airplane/train/*.off)."""
    source: Literal["auto", "dat", "off"] = "auto"
    """Files that are read; auto: the .dat files where there are some, else the OFF files."""
    up_axis: Literal["auto", "x", "y", "z"] = "auto"
    """Axis that points up; auto: y in .dat files, z in OFF files, as published."""
    points: int = Field(8192, ge=1, le=1_000_000)
    """Points drawn from the mesh of an OFF file; a .dat file has its own."""
    question: str = Field("What is this?", min_length=1, pattern=r"\S")
    """Question about the category; PointLLM asks "What is this?", or lets "This is an object of " be continued."""
    val_share: float = Field(0.1, ge=0, le=0.5)
    """Share of the training objects that is held out as the split val, by a hash of their names."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Seed of the points drawn from meshes."""


@dataclass(frozen=True)
class _Object:
    """One object: id, category, OFF file or ``.dat`` file and position in it."""

    name: str
    category: str
    path: Path
    number: int | None = None


class ModelNet40(Dataset):
    """ModelNet40 with PointLLM's 40 names.

    Where only the test file is present, ``test`` is the only split: `spa3d.evaluate` needs no other.
    """

    Config = Config

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        root = self.config.root.expanduser()
        if problem := folder_problem(root):
            raise DataError(f"--dataset.root {root}: {problem}. {_EXPECTED}.")
        dat, folder = _find_dat(root), _find_folder(root)
        self._source = self.config.source
        if self._source == "auto":
            self._source = "dat" if dat or folder is None else "off"
            if dat and folder is not None:
                self.skip_log.note(f"{root}: .dat files are read, OFF files are not; --dataset.source off reads them.")
        self._dat, self._folder = dat, folder
        if not (dat if self._source == "dat" else folder):
            kind = "files" if self.config.source == "auto" else f".{self._source} files"
            raise DataError(f"--dataset.root {root}: no {kind} of ModelNet40 in it. {_EXPECTED}.")
        self.up_axis = UP[self._source] if self.config.up_axis == "auto" else self.config.up_axis
        present = set(dat) if self._source == "dat" else {each for each in PUBLISHED if any(self._scan(each))}
        validated = "train" in present and self.config.val_share > 0
        self._splits = tuple(split for split in SPLITS if split in present or (split == "val" and validated))

    @classmethod
    def recognizes(cls, root: Path) -> bool:
        """Whether `root` holds the ``.dat`` files, or folders of categories with ``train`` or ``test`` in them."""
        return not folder_problem(root) and bool(_find_dat(root) or _find_folder(root))

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits with files; val where there is train, unless ``val_share`` is 0."""
        return self._splits

    def records(self, split: str) -> Sequence[Record]:
        """Records of `split`, in the order of the file, or by category and name."""
        if split not in self.splits:
            raise DataError(
                f"{self.config.root}: no files for split {split!r}; there are {', '.join(self.splits)}. {_EXPECTED}."
            )
        return LazyRecords(self._members[split], self._record)

    def record(self, record_id: str) -> Record:
        """Record of the object with this id, such as ``chair_0001``, or ``modelnet40-test-0001`` in a .dat file."""
        if record_id not in self._objects:
            example = next(iter(self._objects), "none")
            raise DataError(f"{self.config.root}: no record {record_id!r}; ids look like {example}.")
        return self._record(record_id)

    def fingerprint(self) -> str:
        """Hash of configuration (without root), and the contents of all files in use."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        what = {
            "config": self.config.model_dump(mode="json", exclude={"root"}),
            "objects": [(each.name, each.category) for each in self._objects.values()],
            "splits": self._members,
            "files": self.file_hashes.hash_files(dict.fromkeys(each.path for each in self._objects.values())),
        }
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    @cached_property
    def _files(self) -> Mapping[str, LabeledClouds]:
        return {split: LabeledClouds(path) for split, path in self._dat.items()}

    @cached_property
    def _objects(self) -> Mapping[str, _Object]:
        """All objects by id; the test split comes first, so that it keeps an object that train has as well."""
        objects, errors = dict[str, _Object](), list[str]()
        for item in (item for split in reversed(PUBLISHED) for item in self._list(split, errors)):
            if item.name in objects:
                where = cloud_location(item.path, item.name)
                errors.append(
                    f"{where}: {objects[item.name].path} has the same name; names are unique over all splits."
                )
            objects.setdefault(item.name, item)
        if errors and self.on_bad_data == "stop":
            raise bad_records(errors)
        self.skip_log.add(*errors)
        return objects

    @cached_property
    def _members(self) -> Mapping[str, tuple[str, ...]]:
        """Split → ids."""
        test = tuple(name for name, item in self._objects.items() if _split_of(item) == "test")
        train = tuple(name for name, item in self._objects.items() if _split_of(item) == "train")
        held = held_out_groups(train, self.config.val_share)
        if held:
            self.skip_log.note(
                f"modelnet40: no val split is published; {len(held)} of the {len(train)} training objects, chosen by a "
                "hash of their names, are held out as val (--dataset.val_share)."
            )
        return {
            "train": tuple(name for name in train if name not in held),
            "val": tuple(name for name in train if name in held),
            "test": test,
        }

    def _list(self, split: str, errors: list[str]) -> Iterator[_Object]:
        """List the objects of a split of the files; adds a line to `errors` for each unknown label."""
        if self._source == "off":
            self._note_unknown_folders(split)
            yield from (_Object(path.stem, category, path) for path, category in self._scan(split))
        elif split in self._files:
            path = self._dat[split]
            for number, label in enumerate(self._files[split].labels):
                if label < len(NAMES):
                    yield _Object(f"modelnet40-{split}-{number:04}", NAMES[label], path, number)
                else:
                    errors.append(f"{path}, cloud {number}: label {label}; the labels are 0 to {len(NAMES) - 1}.")

    def _scan(self, split: str) -> Iterator[tuple[Path, str]]:
        """OFF files of a split with their categories, by category and name."""
        for name, category in FOLDERS.items():
            folder = self._folder / name / split if self._folder else None
            if folder and not folder_problem(folder):
                yield from ((path, category) for path in sorted(folder.iterdir()) if path.suffix.lower() == ".off")

    def _note_unknown_folders(self, split: str) -> None:
        inner = self._folder.glob(f"*/{split}") if self._folder else ()
        others = sorted(path.parent.name for path in inner if path.parent.name not in FOLDERS)
        if others:
            self.skip_log.note(
                f"{self._folder}: {', '.join(others[:5])}: not read; these folders of {split} are no categories of "
                "ModelNet40."
            )

    def _record(self, name: str) -> Record:
        item = self._objects[name]
        sentence = _make_sentence(item.category)
        return Record(
            id=name,
            object_id=name,
            group=name,
            load=partial(self._read, item),
            conversations=(Conversation(CAPTION, (Round(self.config.question, sentence),)),),
            facts=(Fact("category", "", self.config.question, item.category, NAMES, sentence),),
            category=item.category,
            has_color=False,
        )

    def _read(self, item: _Object) -> CloudArray:
        where = cloud_location(item.path, item.name)
        if item.number is not None:
            return self._files[_split_of(item)].read(item.number, where=where)
        reading = Reading(count=self.config.points, key=("modelnet40", self.config.seed, item.name), where=where)
        return replace(parse_cloud(item.path, reading), colors=None).to_array(where=where)


def _split_of(item: _Object) -> str:
    """The split of the files that an object is in: by its folder, or by the name of its ``.dat`` file."""
    match = DAT.fullmatch(item.path.name)
    return match[1] if match else item.path.parent.name


def _find_dat(root: Path) -> dict[str, Path]:
    """The ``.dat`` file of each split; of several the one with most points."""
    sizes = dict[str, tuple[int, Path]]()
    for folder in (root / inner for inner in INNER):
        for path in [] if folder_problem(folder) else sorted(folder.iterdir()):
            if match := DAT.fullmatch(path.name):
                split, points = match[1], int(match[2])
                sizes[split] = max(sizes.get(split, (0, path)), (points, path), key=lambda each: each[0])
    return {split: sizes[split][1] for split in PUBLISHED if split in sizes}


def _find_folder(root: Path) -> Path | None:
    """The folder with folders of categories."""
    for folder in (root / inner for inner in INNER):
        if any((folder / name / split).is_dir() for name in FOLDERS for split in ("train", "test")):
            return folder
    return None


def _make_sentence(category: str) -> str:
    """The category in a sentence: "This is an airplane."."""
    if category == "stairs":
        return "These are stairs."
    return f"This is {'an' if category[0] in 'aeiou' else 'a'} {category}."
