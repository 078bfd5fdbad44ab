"""Regular files below a folder, without what must not be read or followed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Listing:
    """What lies below a folder; names are relative to it, with ``/``.

    Attributes:
        names: regular files, sorted; hidden files and folders are left out.
        problems: name → why it is not read.
        inner_links: links to folders that are listed anyway.

    """

    names: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    inner_links: list[str] = field(default_factory=list)


def list_files(root: Path, is_data: Callable[[str], bool]) -> Listing:
    """List the files below `root`.

    Links to files inside of `root` are followed. Links to folders are not, so that no folder is listed twice or for
    ever. A link out of `root` is a problem.

    Args:
        root: a readable folder.
        is_data: whether a file of that name, if it cannot be read, is a problem.

    """
    listing, top, folders = Listing(), os.path.realpath(root), [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(f"{root}/{folder}") as scan:
                entries = [entry for entry in scan if not entry.name.startswith(".")]
        except OSError as error:
            listing.problems[folder.rstrip("/")] = f"the folder cannot be read: {_reason(error)}"
            continue
        for entry in entries:
            name, is_folder = folder + entry.name, _is_folder(entry)
            problem = _name_problem(entry.name) or (entry.is_symlink() and _link_problem(entry, top))
            if problem:
                if is_folder or is_data(name):
                    listing.problems[name] = problem
            elif is_folder:
                (listing.inner_links if entry.is_symlink() else folders).append(f"{name}/")
            elif _is_file(entry):
                listing.names.append(name)
            elif is_data(name):
                listing.problems[name] = "it is no regular file"
    listing.names.sort()
    return listing


def show_name(name: str) -> str:
    """Format a name for messages: bytes that are no UTF-8 and control characters become escapes."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return text if text.isprintable() else repr(text)[1:-1]


def _name_problem(name: str) -> str:
    if name.encode("utf-8", "ignore").decode() != name:
        return "the name is no UTF-8; rename it"
    return "" if name.isprintable() else "the name has a character that cannot be printed; rename it"


def _link_problem(entry: os.DirEntry[str], top: str) -> str:
    try:
        target = os.path.realpath(entry.path, strict=True)
    except OSError as error:
        return f"a link that leads nowhere: {_reason(error)}"
    if target == top or target.startswith(f"{top.rstrip('/')}/"):
        return ""
    return f"a link out of the folder, to {show_name(target)}; copy the data to the folder"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
