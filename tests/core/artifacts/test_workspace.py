"""Workspace: paths of artifacts, and cached file hashes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from spa3d.artifacts.workspace import Workspace
from spa3d.errors import OutputError
from spa3d.runtime import file_hashes


def test_from_environment_reads_the_variable_once(tmp_path: Path) -> None:
    environment = {"SPA3D_BASES": str(tmp_path / "a")}
    workspace = Workspace.from_environment(environment)
    environment["SPA3D_BASES"] = str(tmp_path / "b")
    assert workspace.folder == tmp_path / "a"
    assert Workspace.from_environment({}).folder == Path("runs/.bases")


def test_paths_follow_the_fingerprint(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    paths = [
        workspace.base("k"),
        workspace.answers("k", "choice", "f"),
        workspace.clouds("f"),
        workspace.tokens("f"),
        workspace.reference("f"),
        workspace.pairs("augmentation", "f"),
    ]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(tmp_path) for path in paths)
    assert workspace.answers("k", "choice", "f").parent.parent == workspace.base("k")


def test_bases_lists_folders_with_a_base(tmp_path: Path) -> None:
    for name in ("b", "a", "empty"):
        (tmp_path / name).mkdir()
    for name in ("b", "a"):
        (tmp_path / name / "base.json").write_text("{}")
    assert Workspace(tmp_path).bases() == [tmp_path / "a", tmp_path / "b"]


def test_prepare_error_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"bases cannot be kept there .* SPA3D_BASES"):
        Workspace(tmp_path / "file" / "bases").prepare()
    Workspace(tmp_path / "deep" / "bases").prepare()
    assert (tmp_path / "deep" / "bases").is_dir()


def test_hash_files_reads_an_unchanged_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, file = Workspace(tmp_path / "bases"), tmp_path / "weights.pt"
    file.write_bytes(b"abc")
    first, stat = workspace.hash_files([file]), file.stat()
    read: list[Path] = []
    monkeypatch.setattr(file_hashes, "hash_file", lambda path: read.append(path) or "00" * 32)
    assert workspace.hash_files([file]) == first
    assert read == []
    file.write_bytes(b"xyz")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the same path, size and time of content
    assert workspace.hash_files([file]) != first
    assert read == [file]


def test_hash_folder_counts_every_file_but_hidden_ones(tmp_path: Path) -> None:
    workspace, folder = Workspace(tmp_path / "bases"), tmp_path / "llm"
    names = ("config.json", "pytorch_model.bin", "tokenizer.model", "merges.txt", "chat_template.jinja", "deep/a.jinja")
    (folder / "deep").mkdir(parents=True)
    for name in names:
        (folder / name).write_text(name)
    keys = {workspace.hash_folder(folder)}
    (folder / ".cache").mkdir()
    for hidden in (".cache/download", ".gitattributes"):
        (folder / hidden).write_text("")
    shutil.copytree(folder, tmp_path / "copy")
    assert {workspace.hash_folder(folder), workspace.hash_folder(tmp_path / "copy")} == keys
    for name in names:
        (folder / name).write_text(name.upper())
        keys.add(workspace.hash_folder(folder))
    (folder / "merges.txt").rename(folder / "vocab.txt")
    assert len(keys | {workspace.hash_folder(folder)}) == len(names) + 2
