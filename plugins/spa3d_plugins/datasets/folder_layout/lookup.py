"""Clouds of a folder by the names that texts and lists call them."""

from __future__ import annotations

import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from spa3d.errors import DataError
from spa3d_plugins.datasets.folder_layout.walk import show_name


class CloudNames:
    """Names of clouds: ids, paths, and file names that are unique.

    A path starts at the folder, or at the folder of the text that has it.

    Args:
        root: the folder.
        clouds: id → name of the cloud's file.

    """

    def __init__(self, root: Path, clouds: Mapping[str, str]) -> None:
        self._root = root
        self._exact: dict[str, str] = {}
        last: defaultdict[str, set[str]] = defaultdict(set)
        for record_id, name in clouds.items():
            self._exact[_normalize(name)] = record_id
            last[_normalize(name.rpartition("/")[2])].add(record_id)
            last[_normalize(name.rpartition("/")[2].rpartition(".")[0])].add(record_id)
        self._exact |= {_normalize(record_id): record_id for record_id in clouds}
        self._last = {name: sorted(ids) for name, ids in last.items()}
        self._folders: dict[Path, str] = {}
        self._examples = " and ".join(repr(record_id) for record_id in list(clouds)[:2])

    def find(self, text: str, table: Path) -> str:
        """Id of the cloud that a table or list calls `text`.

        Raises:
            DataError: there is no such cloud, or several; the message does not name the line.

        """
        name = posixpath.normpath(_normalize(text).replace("\\", "/"))
        if posixpath.isabs(name):
            name = posixpath.relpath(name, self._root.absolute().as_posix())
        if table not in self._folders:
            self._folders[table] = self._folder_of(table)
        for start in (self._folders[table], ""):
            record_id = self._exact.get(f"{start}{name}")
            if record_id is not None:
                return record_id
        same = self._last.get(name, [])
        if len(same) > 1:
            raise DataError(f"{text!r} may be {same[0]!r} or {same[1]!r}; write its path below {self._root}.")
        if not same:
            raise DataError(
                f"no cloud {show_name(text[:200])!r} below {self._root}; there are {self._examples}, for example."
            )
        return same[0]

    def _folder_of(self, table: Path) -> str:
        """Folder of a table below the root, with a slash; empty for the root and for other places."""
        if not table.parent.is_relative_to(self._root):
            return ""
        folder = table.parent.relative_to(self._root).as_posix()
        return "" if folder == "." else f"{folder}/"


def _normalize(name: str) -> str:
    """The name as it is compared: systems write accents as one character or as two."""
    return name.strip() if name.isascii() else unicodedata.normalize("NFC", name.strip())
