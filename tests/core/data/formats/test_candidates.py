"""Which files count as clouds, among texts with the same endings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spa3d.data.formats.candidates import is_cloud_file


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("scan.txt", "# x y z\n1 2 3\n", True),
        ("scan.csv", "x;y;z\n1,5;2,5;3,5\n", True),
        ("captions.csv", "file,caption\na.ply,A red chair.\n", False),
        ("train.txt", "chair/a\nchair/b\n", False),
        ("empty.txt", "", False),
        ("torn.ply", "", True),
        ("readme.md", "1 2 3\n", False),
    ],
)
def test_texts_about_clouds_are_no_clouds(tmp_path: Path, name: str, content: str, expected: bool) -> None:
    (tmp_path / name).write_text(content)
    assert is_cloud_file(tmp_path / name) is expected


def test_files_that_cannot_be_opened_count(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")  # opening it would wait for a writer
    assert is_cloud_file(tmp_path / "pipe.txt")
    assert is_cloud_file(tmp_path / "missing.csv")
