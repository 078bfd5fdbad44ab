"""Groups of look-alikes: files of equal content or similar name, and groups that texts name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from spa3d.runtime.file_hashes import FileHashes
from spa3d_plugins.datasets.folder_layout.files import FolderFiles
from spa3d_plugins.datasets.folder_layout.names import look_alike_key

GroupBy = Literal["none", "content", "name"]


def group_clouds(
    files: FolderFiles, named: Mapping[str, str], group_by: GroupBy, hashes: FileHashes
) -> dict[str, tuple[str, str]]:
    """Group the clouds; a cloud without look-alikes is its own group.

    Args:
        files: the files of the folder.
        named: id → group that a text names.
        group_by: ``content`` groups files of equal content, and one model in several formats (``a.ply`` beside
            ``a.glb``). ``name`` also groups names that differ in a number, or in one more word at the end. ``none``
            groups only what `named` says.
        hashes: hashes of files.

    Returns:
        Id → group, which is the smallest id in it, and why the cloud is in it.

    """
    links: list[tuple[str, Sequence[str]]] = [(f"group {group!r}", ids) for group, ids in _invert(named).items()]
    if group_by != "none":
        links += [("one name", ids) for ids in _invert(_stems(files)).values()]
        links += [("equal content", ids) for ids in _equal_files(files, hashes)]
    if group_by == "name":
        links += [("a similar name", ids) for ids in _similar_names(files.clouds)]
    parents, reasons = {record_id: record_id for record_id in files.clouds}, dict[str, str]()
    for reason, ids in links:
        roots = {_find(parents, record_id) for record_id in ids}
        for root in roots:
            parents[root] = min(roots)
        for record_id in ids if len(ids) > 1 else ():
            reasons.setdefault(record_id, reason)
    return {record_id: (_find(parents, record_id), reasons.get(record_id, "")) for record_id in files.clouds}


def _find(parents: dict[str, str], record_id: str) -> str:
    while parents[record_id] != record_id:
        parents[record_id] = parents[parents[record_id]]
        record_id = parents[record_id]
    return record_id


def _invert(keys: Mapping[str, str]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = defaultdict(list)
    for record_id, key in keys.items():
        ids[key].append(record_id)
    return ids


def _stems(files: FolderFiles) -> dict[str, str]:
    return {record_id: name.rpartition(".")[0] for record_id, name in files.clouds.items()}


def _equal_files(files: FolderFiles, hashes: FileHashes) -> Iterable[list[str]]:
    """Ids of files with equal content; only files of equal size are read."""
    sizes: dict[int, list[str]] = defaultdict(list)
    for record_id, name in files.clouds.items():
        sizes[_size(files.path(name))].append(record_id)
    ids = [record_id for same in sizes.values() if len(same) > 1 for record_id in same]
    contents = hashes.hash_files(files.path(files.clouds[record_id]) for record_id in ids)
    return _invert({record_id: content for record_id, content in zip(ids, contents, strict=True) if content}).values()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _similar_names(clouds: Mapping[str, str]) -> Iterable[Sequence[str]]:
    """Ids whose names have the same words, or one more word at the end than another name."""
    keys = {record_id: look_alike_key(name) for record_id, name in clouds.items()}
    known = set(keys.values())

    def shorten(key: tuple[str, ...]) -> tuple[str, ...]:
        shorter = (*key[:-1], key[-1].rpartition(" ")[0])
        return shorten(shorter) if shorter in known else key

    return _invert({record_id: "/".join(shorten(key)) for record_id, key in keys.items()}).values()
