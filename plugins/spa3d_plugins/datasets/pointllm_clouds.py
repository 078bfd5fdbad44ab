"""Clouds of a PointLLM folder: by the object's id in one folder, or by the file that the entry names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from spa3d.contracts.dataset import CloudArray
from spa3d.data.cloud_checks import Colors, cloud_location
from spa3d.data.formats.contract import Reading
from spa3d.data.formats.npy import columns, read_npy
from spa3d.data.formats.read import find_format, parse_cloud
from spa3d.errors import DataError
from spa3d.runtime.file_hashes import FileHashes
from spa3d.runtime.paths import file_problem


@dataclass(frozen=True)
class CloudFiles:
    """Files of the clouds.

    Attributes:
        root: folder of the data set, which named files are relative to; they may be relative to `folder`, too.
        folder: folder of the clouds that are known by the object's id.
        pattern: file name of an object's cloud, with ``{id}``.
        colors: range of the colors in the files.
        named: object → the file that its entries name.

    """

    root: Path
    folder: Path
    pattern: str
    colors: Colors
    named: dict[str, str] = field(default_factory=dict)

    def path(self, object_id: str) -> Path:
        """Path of an object's cloud."""
        name = self.named.get(object_id)
        if name is None:
            return self.folder / self.name(object_id)
        places = (self.root / name, self.folder / name)
        return next((path for path in places if not file_problem(path)), places[0])

    def name(self, object_id: str) -> str:
        """File name of the cloud of an object whose entries name no file."""
        return self.pattern.replace("{id}", object_id)

    def list_names(self) -> set[str]:
        """Names of the files in the folder."""
        return {entry.name for entry in os.scandir(self.folder) if _is_file(entry)}

    def problem(self, object_id: str, present: set[str]) -> str:
        """Why an object's cloud cannot be read, by the names of the files; empty if it may be readable."""
        if object_id not in self.named and self.name(object_id) in present:
            return ""
        return file_problem(self.path(object_id))

    def is_array(self, object_id: str) -> bool:
        """Whether a cloud is one of the arrays that all have the same columns; others are read by their format."""
        return object_id not in self.named and (
            self.pattern.endswith(".npy") or find_format(Path(self.pattern)) is None
        )

    def columns(self, object_ids: Iterable[str]) -> int:
        """Number of columns of the first readable array; all others must have the same number."""
        for object_id in filter(self.is_array, object_ids):
            try:
                return columns(self.path(object_id), record_id=object_id)
            except DataError:  # raised again when that cloud is loaded
                continue
        return 6

    def loader(self, object_id: str, columns: int) -> Callable[[], CloudArray]:
        """Make the function that reads an object's cloud."""
        path = self.path(object_id)
        if self.is_array(object_id):
            return partial(read_npy, path, record_id=object_id, colors=self.colors, columns=columns)
        return partial(_read, path, object_id, self.colors)

    def hash(self, object_ids: Iterable[str], hashes: FileHashes) -> Mapping[str, str]:
        """Hashes of the contents of the clouds, by name of the file."""
        used, named = set[str](), list[str]()
        for object_id in object_ids:
            if object_id in self.named:
                named.append(object_id)
            else:
                used.add(self.name(object_id))
        present = [entry.name for entry in os.scandir(self.folder) if entry.name in used]
        contents = hashes.hash_files(map(self.path, named))
        return hashes.hash_names(self.folder, present) | dict(zip(named, contents, strict=True))


def _read(path: Path, object_id: str, colors: Colors) -> CloudArray:
    where = cloud_location(path, object_id)
    return parse_cloud(path, Reading(colors, key=("mesh", object_id), where=where)).to_array(where=where)


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether a directory entry is a regular file or leads to one."""
    try:
        return entry.is_file()
    except OSError:  # links in a circle
        return False
