"""Folder of an evaluation: what continues it and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from spa3d.artifacts.evaluation_folder import EvaluationFolder
from spa3d.errors import OutputError
from spa3d.runtime.shards import Shard


def test_the_same_request_continues_and_another_is_refused(tmp_path: Path) -> None:
    folder = EvaluationFolder(tmp_path / "out", {"limit": 4, "views": ("clean", "blind")})
    folder.claim()
    folder.predictions("choice").parent.mkdir()
    EvaluationFolder(tmp_path / "out", {"limit": 4, "views": ["clean", "blind"]}).claim()
    with pytest.raises(OutputError, match=r"has another evaluation \(limit: 4 → 5\); choose another folder"):
        EvaluationFolder(tmp_path / "out", {"limit": 5, "views": ["clean", "blind"]}).claim()


def test_a_folder_in_which_nothing_was_done_is_free(tmp_path: Path) -> None:
    EvaluationFolder(tmp_path, {"limit": 4}).claim()
    EvaluationFolder(tmp_path, {"limit": 5}).claim()
    assert '"limit": 5' in (tmp_path / "request.json").read_text()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"not empty, and not an evaluation \(notes.txt\)"):
        EvaluationFolder(tmp_path, {}).claim()
    with pytest.raises(OutputError, match="not a folder that can be written"):
        EvaluationFolder(tmp_path / "notes.txt", {}).claim()
    (tmp_path / "request.json").write_text("{")
    with pytest.raises(OutputError, match="not an evaluation"):
        EvaluationFolder(tmp_path, {}).claim()


def test_missing_shards_are_listed(tmp_path: Path) -> None:
    folder = EvaluationFolder(tmp_path, {})
    folder.shard(Shard(2, 3)).parent.mkdir()
    folder.shard(Shard(2, 3)).write_text("")
    assert folder.list_missing(3) == ("1/3", "3/3")
    folder.drop_shards()
    assert folder.list_missing(2) == ("1/2", "2/2")
