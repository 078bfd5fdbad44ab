"""Run folders: lock, resume, and reuse after an untrained run."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml

from spa3d.artifacts.run_folder import drop_checkpoints, issue_passport, link_latest, lock_run_folder
from spa3d.config.settings import RunConfig
from spa3d.errors import OutputError
from spa3d.runtime.atomic_files import write_whole

PASSPORT: dict[str, object] = {"base": "b", "data": "d", "sources": "s"}


def config(seed: int = 0) -> RunConfig:
    part = {"requested": "x", "component": "x"}
    parts = dict.fromkeys(("encoder", "projector", "noise", "objective", "dataset"), part)
    return RunConfig.model_validate({"preset": "smoke", "seed": seed, "benchmark": (part,), **parts})


def claim(folder: Path, seed: int = 0, *, resume: bool = False) -> AbstractContextManager[None]:
    return lock_run_folder(folder, config(seed).model_dump(mode="json"), resume=resume)


def begin(folder: Path) -> None:
    """Create the files of a run that ended at the first error of its data."""
    with claim(folder):
        issue_passport(folder, PASSPORT)
        (folder / "predictions").mkdir()
        (folder / "predictions" / "choice.before.jsonl").write_text("{}\n")
        (folder / "metrics.jsonl").write_text('{"stage": "base.llm"}\n')
        (folder / "best.safetensors").write_text("the base, which the probe before the first step kept")


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_lock_run_folder_clears_an_untrained_run(tmp_path: Path, seed: int, resume: bool) -> None:
    begin(tmp_path)
    with claim(tmp_path, seed, resume=resume):
        assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
        assert yaml.safe_load((tmp_path / "config.yaml").read_text())["seed"] == seed


@pytest.mark.parametrize("kept", ["checkpoints/checkpoint-50", "predictions/choice.after.jsonl", "model", "thesis.tex"])
def test_lock_run_folder_preserves_trained_and_foreign_files(tmp_path: Path, kept: str) -> None:
    begin(tmp_path)
    (tmp_path / kept).mkdir(parents=True)
    with pytest.raises(OutputError, match=r"another configuration \(seed: 0 → 1\)"), claim(tmp_path, 1):
        pass
    with pytest.raises(OutputError, match="add --resume"), claim(tmp_path):
        pass
    with claim(tmp_path, resume=True):
        assert (tmp_path / kept).exists()
        assert (tmp_path / "metrics.jsonl").exists()


def test_lock_run_folder_rejects_a_foreign_config(tmp_path: Path) -> None:
    for text in ("mine: 1\n", "- a list\n", "not: [yaml\n"):
        (tmp_path / "config.yaml").write_text(text)
        (tmp_path / "passport.json").write_text('{"nationality": "none"}')
        with pytest.raises(OutputError, match="choose another"), claim(tmp_path):
            pass
        assert (tmp_path / "config.yaml").read_text() == text


def test_lock_run_folder_excludes_a_second_run(tmp_path: Path) -> None:
    with claim(tmp_path), pytest.raises(OutputError, match="another run is using it"), claim(tmp_path, resume=True):
        pass
    with claim(tmp_path, resume=True):
        pass


@pytest.mark.parametrize("unusable", ["file/run", "file"])
def test_lock_run_folder_unusable_path(tmp_path: Path, unusable: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be (created or read|made there)"), claim(tmp_path / unusable):
        pass


def test_issue_passport_rejects_changes(tmp_path: Path) -> None:
    issue_passport(tmp_path, PASSPORT)
    issue_passport(tmp_path, {**PASSPORT, "versions": "newer"})
    with pytest.raises(OutputError, match="data: 'd' → 'e'"):
        issue_passport(tmp_path, {**PASSPORT, "data": "e"})


def test_link_latest_points_at_the_last_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    link = Path("runs/latest")
    for output, target in [("runs/one", "one"), ("runs/deep/two", "deep/two"), ("other", str(tmp_path / "other"))]:
        Path(output).mkdir(parents=True)
        link_latest(Path(output))
        assert (link.resolve(), link.readlink()) == (tmp_path / output, Path(target))
    assert sorted(path.name for path in Path("runs").iterdir()) == ["deep", "latest", "one"]


def test_link_latest_preserves_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/latest").mkdir(parents=True)
    link_latest(tmp_path / "one")
    assert not Path("runs/latest").is_symlink()


def test_link_latest_stops_no_run_where_it_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").touch()
    link_latest(tmp_path)
    assert Path("runs").is_file()


def test_drop_checkpoints_leaves_the_model(tmp_path: Path) -> None:
    for name in ("checkpoints/checkpoint-3/model.safetensors", "best.safetensors", "model/model.safetensors"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    drop_checkpoints(tmp_path)
    drop_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_write_whole_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "report.json"
    write_whole(path, json.dumps("\ud83d"))
    write_whole(path, "half a pair: \ud83d")
    assert path.read_text() == "half a pair: ?"

    def full(self: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "other")
    assert path.read_text() == "half a pair: ?"
    assert [result.name for result in path.parent.iterdir()] == ["report.json"]
