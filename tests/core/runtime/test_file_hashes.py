"""Hashes of files: of their content, and remembered as long as a file is unchanged."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from spa3d.runtime import file_hashes
from spa3d.runtime.file_hashes import FileHashes


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read, in order."""
    names: list[str] = []
    original = file_hashes.hash_file

    def hash_file(path: Path) -> str:
        names.append(path.name)
        return original(path)

    monkeypatch.setattr(file_hashes, "hash_file", hash_file)
    return names


def write(folder: Path, number: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{index}.npy" for index in range(number)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def test_hash_files_gives_the_hash_of_each_content_in_order(tmp_path: Path) -> None:
    paths = [*write(tmp_path / "b", 3), *write(tmp_path / "a", 2)][::-1]
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert FileHashes().hash_files(paths) == FileHashes(tmp_path / "store").hash_files(paths) == expected


def test_hash_files_reads_unchanged_files_once(tmp_path: Path, read: list[str]) -> None:
    paths, store = write(tmp_path / "clouds", 300), tmp_path / "deep" / "store"
    first = FileHashes(store).hash_files(paths)
    assert len(read) == 300
    assert FileHashes(store).hash_files(paths) == first
    assert FileHashes(store).hash_files(paths[:7]) == first[:7]
    (tmp_path / "link").symlink_to(tmp_path / "clouds")
    assert FileHashes(store).hash_files([tmp_path / "link" / "5.npy"]) == first[5:6]
    assert len(read) == 300


def replace(path: Path) -> None:
    path.with_suffix(".new").write_bytes(path.read_bytes()[::-1])
    path.with_suffix(".new").replace(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda path: path.write_bytes(path.read_bytes()[::-1]),
    "another file": replace,
    "size": lambda path: path.write_bytes(path.read_bytes() + b"!"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("same_time", [False, True])
def test_hash_files_reads_a_changed_file_again(tmp_path: Path, read: list[str], change: str, same_time: bool) -> None:
    paths, store = write(tmp_path / "clouds", 300), tmp_path / "store"
    first, before = FileHashes(store).hash_files(paths), paths[200].stat()
    read.clear()
    CHANGES[change](paths[200])
    if same_time:  # as programs do that unpack archives or copy with times
        os.utime(paths[200], ns=(before.st_atime_ns, before.st_mtime_ns))
    again = FileHashes(store).hash_files(paths)
    assert read == ["200.npy"]
    assert [index for index in range(300) if again[index] != first[index]] == [200]


def test_hash_files_a_store_that_is_broken_or_cannot_be_written(tmp_path: Path, read: list[str]) -> None:
    paths = write(tmp_path / "clouds", 2)
    (tmp_path / "broken").write_bytes(b"no database" * 99)
    first = FileHashes(tmp_path / "broken").hash_files(paths)
    assert FileHashes(tmp_path / "broken").hash_files(paths) == first
    assert len(read) == 2
    (tmp_path / "folder").mkdir()
    assert FileHashes(tmp_path / "folder").hash_files(paths) == first
    assert FileHashes(paths[0] / "below a file").hash_files(paths) == first
    assert len(read) == 6


def test_hash_files_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    odd = tmp_path / os.fsdecode(b"\xff")
    odd.write_bytes(b"odd")
    hashes = FileHashes(tmp_path / "store").hash_files([tmp_path / "gone", tmp_path / "pipe", tmp_path, odd])
    assert hashes == ["", "", "", hashlib.sha256(b"odd").hexdigest()]
    assert FileHashes(tmp_path / "store").hash_files([odd]) == hashes[3:]


def test_hash_files_reports_long_reading_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Said:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def say(self, text: str) -> None:
            self.lines.append(text)

        def __getattr__(self, name: str) -> object:
            return getattr(file_hashes.SilentReporter(), name)

    message, paths = Said(), write(tmp_path / "clouds", 3)
    FileHashes(None, message).hash_files(paths)  # type: ignore[arg-type]
    assert message.lines == []
    monkeypatch.setattr(file_hashes, "WORTH_SHOWING", 15)
    FileHashes(None, message).hash_files(paths)  # type: ignore[arg-type]
    assert message.lines == [
        f"reading 3 files in {tmp_path / 'clouds'} (0.0 GB) to see whether they changed",
    ]
