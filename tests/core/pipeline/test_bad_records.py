"""All bad records of a data set in one message, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spa3d.cli import main
from spa3d.pipeline import bad_records

POINTS = np.random.default_rng(0).random((128, 6)).astype(np.float32)
SHIFTED, BRIGHT = POINTS + np.float32([1e5] * 3 + [0] * 3), POINTS * np.float32([1] * 3 + [255] * 3)
SPOILED = POINTS.copy()
SPOILED[3, 1] = np.nan


def store(value: Any) -> Callable[[Path], object]:
    return lambda path: np.save(path, np.asarray(value), allow_pickle=True)


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def become_unreadable(path: Path) -> None:
    path.unlink()
    path.symlink_to("/proc/self/mem")  # a regular file whose first byte cannot be read


NO_FILES: dict[str, Callable[[Path], object]] = {
    "it is a folder": become_folder,
    "too many levels of symbolic links": become_loop,
    "no such file": Path.unlink,
}
BAD_CLOUDS: dict[str, Callable[[Path], object]] = {
    "truncated: 2972 of 3072 bytes": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "shape (128, 5)": store(POINTS[:, :5]),
    "shape (768,)": store(POINTS.ravel()),
    "3 columns where other clouds of the data set have 6": store(POINTS[:, :3]),
    "NaN or infinity in 1 of 128 points, first in point 3": store(SPOILED),
    "dtype '<U1'": store([["a"] * 6] * 9),
    "dtype '<i8'": store(POINTS.astype(np.int64)),
    "pickled objects are never loaded": store([{}] * 3),
    "the cloud has no points": store(POINTS[:0]),
    "5 points, but encoder pointnext needs at least 32": store(POINTS[:5]),
    "all lie in one place": store(POINTS * 0),
    "float32 is too coarse": store(SHIFTED),
    "colors look like 0-255": store(BRIGHT),
    "the file is empty": write(b""),
    "not a .npy file": write(b"<!DOCTYPE html>"),
    "a pickle, which is never loaded": write(b"\x80\x04N."),
    "an archive (.npz)": write(b"PK\x03\x04"),
    "cannot be read: input/output error": become_unreadable,
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the clouds of 40 training objects; messages are not wrapped."""
    monkeypatch.setenv("COLUMNS", "2000")
    (tmp_path / "data" / "8192_npy").mkdir(parents=True)
    (tmp_path / "data" / "anno_data").mkdir()
    for split, count in (("train", 40), ("val", 4), ("test", 4)):
        names = [f"{split}{number}" for number in range(count)]
        turns = [{"from": "human", "value": "<point>\nWhat is this?"}, {"from": "gpt", "value": "A chair."}]
        entries = [{"object_id": name, "conversations": turns} for name in names]
        facts = [{"object_id": name, "category": "chair" if name[-1] in "02468" else "lamp"} for name in names]
        (tmp_path / "data" / "anno_data" / f"x_{split}.json").write_text(json.dumps(entries))
        (tmp_path / "data" / "anno_data" / f"facts_{split}.json").write_text(json.dumps(facts))
        for name in names:
            np.save(tmp_path / "data" / "8192_npy" / f"{name}_8192.npy", POINTS)
    return tmp_path / "data" / "8192_npy"


def refuse(data: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Run the smoke preset on the data, and return the lines of its errors."""
    flags = f"--preset smoke --device cpu --dataset pointllm --dataset.root {data.parent} --objective sft"
    argv = ("run", "--output", str(data.parent.parent / "run"))
    assert main([*(words or argv), *flags.split(), "--points.count", "64"]) == 2
    lines = capsys.readouterr().err.splitlines()
    return [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]


def damage(data: Path, damages: dict[str, Callable[[Path], object]], first: int = 1) -> dict[str, str]:
    """Damage a cloud in each of the ways; returns the expected message of each record."""
    for number, spoil in enumerate(damages.values(), start=first):
        spoil(data / f"train{number}_8192.npy")
    return {f"train{number}": message for number, message in enumerate(damages, start=first)}


def test_run_lists_bad_clouds_of_every_kind(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = damage(data, BAD_CLOUDS)
    *lines, last = refuse(data, capsys)
    assert last == f"{len(expected)} errors; --on-bad-data skip leaves such records out and lists them."
    for record, message in expected.items():
        named = [line for line in lines if f"record {record}:" in line or f"(record {record}):" in line]
        assert len(named) == 1
        assert message in named[0]
        assert len(named[0]) <= 400
    assert len(lines) == len(expected)


def test_run_lists_missing_and_bad_clouds_together_up_to_twenty(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = damage(data, NO_FILES, first=30)
    damage(data, {**BAD_CLOUDS, **{f"also nothing {number}": write(b"") for number in range(4)}})
    *lines, last = refuse(data, capsys)
    assert last.startswith("at least 20 errors; --on-bad-data skip")
    assert len({*lines}) == 20
    for line, (record, message) in zip(lines, expected.items(), strict=False):
        assert f"{record}_8192.npy (record {record}): cannot be read: {message}." in line


def test_search_for_bad_records_ends_in_time(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bad_records, "SECONDS", -1.0)
    damage(data, {**BAD_CLOUDS, **NO_FILES})
    *lines, last = refuse(data, capsys)
    assert [line.partition(": ")[2][:14] for line in lines] == ["cannot be read"] * 3
    assert last.startswith("at least 3 errors; ")


def test_preview_lists_its_bad_clouds(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(data, BAD_CLOUDS)
    *lines, last = refuse(data, capsys, "preview", "dataset", "x.png", "--split", "train", "--count", "6")
    assert [line.partition("record ")[2][:6] for line in lines] == [f"train{number}" for number in range(1, 6)]
    assert last.startswith("5 errors; ")
    assert not Path("x.png").exists()
