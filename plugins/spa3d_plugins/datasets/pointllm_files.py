"""Files of a PointLLM folder: where they are, and which one belongs to which split.

A file belongs to the split that its name ends with, ``*_train.json``, ``*_val.json`` or ``*_test.json``. Where a split
has no such file, PointLLM's published files are known by their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spa3d.data.conversations import JsonArray
from spa3d.errors import DataError
from spa3d.runtime.text_files import read_text

SPLITS = ("train", "val", "test")
BRIEF = ("PointLLM_brief_description_660K_filtered.json", "PointLLM_brief_description_660K.json")
"""Published captions; the first one lacks the objects reserved for evaluation already."""
COMPLEX = "PointLLM_complex_instruction_70K.json"
REFERENCES = ("PointLLM_brief_description_val_200_GT.json", "PointLLM_brief_description_val_3000_GT.json")
"""Published references; PointLLM reports the first one."""
RESERVED = "val_object_ids_3000.txt"
OTHER_FOLDERS = {"8192_npy": ("objaverse_data", "pcd"), "anno_data": (".",)}
"""Default folder → folders that PointLLM's README, SpatialLM and LLaMA-Factory have instead."""


@dataclass(frozen=True)
class AnnotationFiles:
    """Annotation files of each split.

    Attributes:
        folder: the folder that they are in.
        splits: split → its files.
        published: whether train has PointLLM's published files, known by their names: they have no val split.
        reserved: lists of objects that must not be in train, for published files.
        notes: which of several files are not read.

    """

    folder: Path
    splits: Mapping[str, tuple[Path, ...]]
    published: bool = False
    reserved: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def facts(self) -> Mapping[str, Path]:
        """Split → its facts file, which may be absent."""
        return {split: self.folder / f"facts_{split}.json" for split in self.splits}

    def read_reserved(self) -> frozenset[str]:
        """Read the ids of the objects that must not be in train; raises `DataError` if a list cannot be read."""
        ids = set[str]()

        def add(_: int, entry: object) -> None:
            ids.add(str(entry.get("object_id")) if isinstance(entry, dict) else "")

        for path in self.reserved:
            if path.suffix == ".txt":
                ids.update(read_text(path).split())
            else:
                JsonArray(path, add, by_id=True)
        return frozenset(ids)


def find_folder(root: Path, name: str) -> Path:
    """Find a folder below `root`; where the default one is missing, one of `OTHER_FOLDERS`."""
    for other in (name, *OTHER_FOLDERS.get(name, ())):
        folder = root / other
        if folder.is_dir() and (other != "." or find_files(folder, {}).splits):
            return folder
    return root / name


def find_files(folder: Path, configured: Mapping[str, Sequence[str]]) -> AnnotationFiles:
    """Find the annotation files in `folder`.

    Args:
        folder: folder of the JSON files.
        configured: split → names of its files; empty: they are known by their names.

    Raises:
        DataError: a configured file does not exist.

    """
    splits: dict[str, tuple[Path, ...]] = dict.fromkeys(SPLITS, ())
    for split in SPLITS:
        splits[split] = tuple(folder / name for name in configured.get(split, ()))
        if missing := [path for path in splits[split] if not path.is_file()]:
            raise DataError(f"--dataset.{split}: there is no file {missing[0]}.")
        named = (path for path in folder.glob(f"*_{split}.json") if not path.name.startswith("facts_"))
        splits[split] = splits[split] or tuple(sorted(named))
    briefs, complex_, references = (_present(folder, names) for names in (BRIEF, (COMPLEX,), REFERENCES))
    published = not splits["train"] and bool(briefs or complex_)
    notes: list[str] = []
    if published:
        splits["train"] = (*briefs[:1], *complex_)
        notes += [f"{path}: not read; {briefs[0].name} has its captions." for path in briefs[1:]]
    if not splits["test"] and references:
        splits["test"] = references[:1]
        notes += [
            f"{path}: not evaluated; {references[0].name} is PointLLM's benchmark. --dataset.test names another file."
            for path in references[1:]
        ]
    reserved = (*_present(folder, (RESERVED,)), *references) if published else ()
    used = {split: paths for split, paths in splits.items() if paths}
    return AnnotationFiles(folder, used, published, reserved, tuple(notes))


def _present(folder: Path, names: Sequence[str]) -> tuple[Path, ...]:
    return tuple(folder / name for name in names if (folder / name).is_file())
