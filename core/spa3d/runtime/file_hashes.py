"""Hashes of the contents of files, remembered so that an unchanged file is read once."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from stat import S_ISREG

from spa3d.runtime.progress import Reporter, SilentReporter

Times = tuple[int, int, int]
"""Size of a file in bytes, time of its last change of content, and of content or attributes, in ns."""
READERS = 8
"""Files read at once; hashing leaves Python's lock."""
AT_ONCE = 4096
"""Files after which new hashes are stored, so that a killed run keeps them."""
WORTH_SHOWING = 1 << 30
"""Bytes to read from which on progress is reported."""
TABLES = """
create table if not exists folders (id integer primary key, path blob unique);
create table if not exists files (
    folder integer, name blob, size integer, modified integer, changed integer, hash blob, primary key (folder, name)
) without rowid;
"""


class FileHashes:
    """SHA-256 of files, remembered in one SQLite file by folder, name, size and times.

    The store has one row per file (about 100 bytes), replaced when the file changes, and is read folder by folder.
    660,000 unchanged files take seconds. The time of the last change of attributes counts too, because programs that
    copy or unpack files may set the time of their content.

    Args:
        store: the SQLite file; None: nothing is remembered.
        reporter: where progress goes, if more than a gigabyte must be read.

    """

    def __init__(self, store: Path | None = None, reporter: Reporter | None = None) -> None:
        self.store, self.reporter = store, reporter or SilentReporter()

    def hash_files(self, paths: Iterable[Path]) -> list[str]:
        """Hashes of the contents of `paths`, in hexadecimal; empty for an unreadable one."""
        paths = list(paths)
        by_folder: dict[Path, set[str]] = defaultdict(set)
        for path in paths:
            by_folder[path.parent].add(path.name)
        hashes = {folder: self.hash_names(folder, names) for folder, names in by_folder.items()}
        return [hashes[path.parent][path.name] for path in paths]

    def hash_names(self, folder: Path, names: Collection[str]) -> dict[str, str]:
        """The same for many files of one folder, by name."""
        start = f"{folder}/"
        result = {name: times for name in names if (times := _times(start + name))}
        key, hashes = os.fsencode(folder.resolve()), dict.fromkeys(names, "")
        with self._open_store() as database:
            for name, size, modified, changed, content in _rows(database, key, names):
                if result.get(name) == (size, modified, changed):
                    hashes[name] = content.hex()
            missing = [name for name in result if not hashes[name]]
            for fresh in self._read(folder, missing, sum(result[name][0] for name in missing)):
                hashes |= fresh
                _remember(database, key, [(name, *result[name], fresh[name]) for name in fresh if fresh[name]])
        return hashes

    def _read(self, folder: Path, names: Sequence[str], size: int) -> Iterator[dict[str, str]]:
        """Hash files in several threads; yields them in groups."""
        if not names:
            return
        reporter = self.reporter if size >= WORTH_SHOWING else SilentReporter()
        reporter.say(f"reading {len(names):,} files in {folder} ({size / 1e9:.1f} GB) to see whether they changed")
        with ThreadPoolExecutor(READERS) as pool, reporter.track(len(names), "files") as advance:
            for first in range(0, len(names), AT_ONCE):
                group = names[first : first + AT_ONCE]
                yield dict(zip(group, pool.map(_try_hash, (folder / name for name in group)), strict=True))
                advance(len(group))

    @contextmanager
    def _open_store(self) -> Iterator[sqlite3.Connection | None]:
        """The open store; None without one. A store that cannot be used only costs reading again."""
        try:
            database = self._open()
        except (sqlite3.Error, OSError):
            database = None
        if database is None:
            yield None
            return
        with closing(database):
            yield database

    def _open(self) -> sqlite3.Connection | None:
        if self.store is None:
            return None
        self.store.parent.mkdir(parents=True, exist_ok=True)
        for attempt in (1, 2):
            database = sqlite3.connect(self.store, timeout=60)
            try:
                database.executescript(TABLES)
            except sqlite3.DatabaseError as error:
                database.close()
                if attempt == 2 or type(error) is not sqlite3.DatabaseError:  # a subclass: locked or read-only
                    raise
                self.store.unlink(missing_ok=True)  # no file of SQLite: it is made anew
            else:
                return database
        return None


def hash_file(path: Path) -> str:
    """SHA-256 of the content of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _try_hash(path: Path) -> str:
    try:
        return hash_file(path)
    except OSError:
        return ""


def _times(path: str) -> Times | None:
    """Size and times of a regular file; None for a pipe or other kind, or if it is gone."""
    try:
        status = os.stat(path)  # noqa: PTH116 - twice as fast as a Path for each of many files
    except (OSError, ValueError):
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns) if S_ISREG(status.st_mode) else None


def _rows(
    database: sqlite3.Connection | None, folder: bytes, names: Collection[str]
) -> Iterator[tuple[str, int, int, int, bytes]]:
    """Remembered files of a folder: all of them, or only `names` if these are few."""
    if database is None:
        return
    query = (
        "select name, size, modified, changed, hash from files where folder = (select id from folders where path = ?)"
    )
    few = [os.fsencode(name) for name in names] if len(names) < 100 else []
    among = f" and name in ({','.join('?' * len(few))})" if few else ""
    try:
        for name, *values in database.execute(query + among, (folder, *few)):
            yield os.fsdecode(name), *values
    except sqlite3.Error:
        return


def _remember(
    database: sqlite3.Connection | None, folder: bytes, rows: Sequence[tuple[str, int, int, int, str]]
) -> None:
    if database is None:
        return
    try:
        with database:
            database.execute("insert or ignore into folders (path) values (?)", (folder,))
            (number,) = database.execute("select id from folders where path = ?", (folder,)).fetchone()
            database.executemany(
                "insert or replace into files values (?, ?, ?, ?, ?, ?)",
                [(number, os.fsencode(name), *times, bytes.fromhex(content)) for name, *times, content in rows],
            )
    except sqlite3.Error:
        return
