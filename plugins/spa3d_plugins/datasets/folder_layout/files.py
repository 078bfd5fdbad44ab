"""Roles of the files in a folder: clouds, tables of texts, captions, lists of splits."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spa3d.data.formats.candidates import has_points
from spa3d.data.formats.read import FORMATS, find_format
from spa3d.errors import DataError
from spa3d.runtime.paths import file_problem, folder_problem
from spa3d_plugins.datasets.folder_layout.names import find_split
from spa3d_plugins.datasets.folder_layout.walk import Listing, list_files, show_name

TABLES = (".csv", ".tsv", ".json", ".jsonl")
"""Endings of tables of texts."""
TABLE_NAMES = ("annotations", "captions", "conversations", "metadata")
"""Names of the tables that are read unless others are set."""
_COMPANIONS = (".bin", ".mtl", ".png", ".jpg", ".jpeg", ".webp", ".ktx2", ".bmp", ".tga", ".tif", ".tiff", ".gif")
"""Endings of files that meshes refer to."""
_SHOWN = 5
_ARCHIVES = frozenset([".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"])


@dataclass(frozen=True)
class FolderFiles:
    """Files below a folder; names are relative to it.

    Attributes:
        root: the folder.
        clouds: id → name of the cloud's file, in the order of the names.
        tables: files with texts.
        captions: id → name of the text file with the cloud's caption.
        lists: name of a file that lists the clouds of a split → the split.
        companions: names of files that clouds may refer to, such as textures.
        errors: one line per file that cannot be used.
        notes: what is not read.

    """

    root: Path
    clouds: Mapping[str, str]
    tables: tuple[Path, ...]
    captions: Mapping[str, str]
    lists: Mapping[str, str]
    companions: tuple[str, ...]
    errors: tuple[str, ...]
    notes: tuple[str, ...]

    def path(self, name: str) -> Path:
        """Path of a file."""
        return Path(f"{self.root}/{name}")


def find_files(root: Path, texts: Sequence[str] = ()) -> FolderFiles:
    """Find the files below `root`; no cloud is read.

    Args:
        root: the folder.
        texts: tables of texts, below `root` or anywhere; empty: those with usual names, and captions beside clouds.

    Raises:
        DataError: `root` is no readable folder, it holds no cloud, or one of `texts` cannot be read.

    """
    problem = folder_problem(root)
    if problem:
        raise DataError(f"--dataset.root {show_name(str(root))}: {problem}.")
    tables = [_find_table(root, name) for name in texts]
    listing = list_files(root, lambda name: _may_be_cloud(name) or name.lower().endswith(TABLES))
    usual = [name for name in listing.names if _is_usual_table(name)]
    lists = {name: split for name in listing.names if (split := _listed_split(name))}
    others = {*usual, *lists, *(os.path.relpath(os.path.realpath(path), os.path.realpath(root)) for path in tables)}
    clouds = [
        name
        for name in listing.names
        if name not in others and _may_be_cloud(name) and has_points(Path(f"{root}/{name}"))
    ]
    if not clouds:
        raise DataError(_describe_no_cloud(root, listing))
    by_id = _name_clouds(clouds)
    captions = {} if texts else _find_captions(by_id, set(listing.names) - others)
    unread = set(listing.names) - {*clouds, *captions.values(), *others} | (set(usual) if texts else set())
    return FolderFiles(
        root=root,
        clouds=by_id,
        tables=tuple(tables) if texts else tuple(root / name for name in usual),
        captions=captions,
        lists=lists,
        companions=tuple(name for name in listing.names if name.lower().endswith(_COMPANIONS)),
        errors=tuple(_describe_problems(root, listing.problems)),
        notes=(*_describe_unread(root, unread), *_describe_links(root, listing.inner_links)),
    )


def _find_table(root: Path, name: str) -> Path:
    path = next((path for path in (root / name, Path(name).expanduser()) if not file_problem(path)), None)
    if path is None:
        raise DataError(f"--dataset.texts: {show_name(str(root / name))}: {file_problem(root / name)}.")
    if not path.name.lower().endswith(TABLES):
        raise DataError(f"--dataset.texts: {path}: no table of texts; possible: {', '.join(TABLES)}")
    return path


def _is_usual_table(name: str) -> bool:
    stem, dot, ending = name.rpartition("/")[2].lower().partition(".")
    return stem in TABLE_NAMES and dot + ending in TABLES


def _listed_split(name: str) -> str | None:
    """The split whose clouds a file at the top of the folder lists (``train.txt``)."""
    stem, dot, ending = name.partition(".")
    return find_split(stem) if dot + ending.lower() == ".txt" else None


def _may_be_cloud(name: str) -> bool:
    return find_format(Path(name)) is not None


def _name_clouds(names: Sequence[str]) -> dict[str, str]:
    """Id of each cloud: its name without the ending, or with it where that would not be unique."""
    stems = {name: name.rpartition(".")[0] for name in names}
    counts = Counter(stems.values())
    in_full = {name for name, stem in stems.items() if counts[stem] > 1}
    ids = {name if name in in_full or stem in in_full else stem: name for name, stem in stems.items()}
    return ids if len(ids) == len(names) else {name: name for name in names}


def _find_captions(clouds: Mapping[str, str], others: set[str]) -> dict[str, str]:
    texts = {name[:-4]: name for name in sorted(others) if name.lower().endswith(".txt")}
    stems = {record_id: name.rpartition(".")[0] for record_id, name in clouds.items() if name not in texts.values()}
    return {record_id: texts[stem] for record_id, stem in stems.items() if stem in texts}


def _describe_problems(root: Path, problems: Mapping[str, str]) -> Iterator[str]:
    for name, reason in sorted(problems.items()):
        yield f"{show_name(f'{root}/{name}')}: {reason}."


def _describe_unread(root: Path, names: set[str]) -> Iterator[str]:
    """Note files that could hold texts."""
    unread = sorted(name for name in names if name.lower().endswith((*TABLES, ".txt")))
    if unread:
        more = f" and {len(unread) - _SHOWN} more" if len(unread) > _SHOWN else ""
        yield (
            f"{root}: not read, because they are no clouds and their names no names of texts: "
            f"{', '.join(unread[:_SHOWN])}{more}; --dataset.texts names tables of texts."
        )


def _describe_links(root: Path, links: Iterable[str]) -> Iterator[str]:
    for name in sorted(links):
        yield f"{root}/{name}: a link to a folder is not followed; the clouds there are read at their own place."


def _describe_no_cloud(root: Path, listing: Listing) -> str:
    """Describe a folder without a cloud: what it has, and what is possible."""
    endings = Counter(Path(name).suffix.lower() or "no ending" for name in listing.names)
    there = ", ".join(f"{ending} ({count})" for ending, count in endings.most_common(8)) or "no file"
    possible = ", ".join(suffix for each in FORMATS for suffix in each.suffixes)
    lines = [f"--dataset.root {root}: no cloud below it; there are: {there}; possible: {possible}"]
    if endings.keys() & _ARCHIVES:
        lines[0] += "; unpack the archive first"
    return "\n".join([*lines, *list(_describe_problems(root, listing.problems))[:_SHOWN]])
