"""What the names of files and folders say: splits and categories."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from spa3d.data.formats.read import FORMATS

SPLITS = ("train", "val", "test")
_ALIASES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "eval": "val",
    "test": "test",
    "testing": "test",
}
_PLAIN_FOLDERS = frozenset(["cloud", "clouds", "data", "mesh", "meshes", "model", "models", "objects", "pointclouds"])
"""Words of folders that say nothing about what is in them, as do the names of file formats (``gltf_files``)."""
_SUFFIXES = frozenset(suffix for each in FORMATS for suffix in each.suffixes)
_PLAIN_FILES = frozenset(["cloud", "mesh", "model", "model normalized", "points", "scan", "scene", "textured"])
"""Names that programs give to every file; the name of the folder counts instead."""
_WORD = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_HASH = re.compile(r"(?=.*\d)[0-9a-fA-F]{8,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def find_split(word: str) -> str | None:
    """The split that a folder, a list or a cell is called by; None if it is no split."""
    return _ALIASES.get(word.strip().lower())


def folder_splits(name: str) -> tuple[str, ...]:
    """Splits that the folders of a file are called by."""
    return tuple(dict.fromkeys(split for part in name.split("/")[:-1] if (split := find_split(part))))


def folder_category(name: str) -> str:
    """Category from the last telling folder (``train/Chair_2/a.ply`` → ``chair``), or empty."""
    return next(filter(None, map(strip_name, reversed(_telling_folders(name)))), "")


def name_category(name: str) -> str:
    """Category from the name of a file (``glb/Chair_1.glb`` → ``chair``), or empty.

    A name that programs give to every file (``scene.gltf``) counts as that of its folder.
    """
    words = strip_name(PurePosixPath(name).stem)
    return folder_category(name) if words in _PLAIN_FILES else words


def look_alike_key(name: str) -> tuple[str, ...]:
    """Telling folders of a file and the words of its name; equal for ``Tree_1`` and ``Tree_2``."""
    stem, folders = PurePosixPath(name).stem, _telling_folders(name)
    if strip_name(stem) in _PLAIN_FILES and folders:
        stem = folders.pop()
    return (*folders, strip_name(stem) or stem)


def strip_name(name: str) -> str:
    """Words of a name, such as ``couch large`` of ``Couch_Large1``.

    Digits, separators and single letters at the end are left out. A hash has no words.
    """
    if _HASH.fullmatch(name):
        return ""
    words = _WORD.findall(_CAMEL.sub(" ", name).lower())
    while words and len(words[-1]) == 1:
        words.pop()
    return " ".join(words)


def article(words: str) -> str:
    """Indefinite article of `words`."""
    return "an" if words.lower().startswith(tuple("aeiou")) else "a"


def _telling_folders(name: str) -> list[str]:
    return [part for part in name.split("/")[:-1] if not find_split(part) and not _is_plain(part)]


def _is_plain(folder: str) -> bool:
    words = strip_name(folder).split()
    return any(word in _PLAIN_FOLDERS or f".{word}" in _SUFFIXES for word in words[:1] + words[-1:])
