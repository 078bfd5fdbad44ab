"""A card beside a model is saved and uploaded with it, and never replaced."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from huggingface_hub.errors import EntryNotFoundError
from transformers.utils import hub

import spa3d
from spa3d.config.settings import TrainSettings
from spa3d.pipeline.post_train import let_train

CARD = "---\nlibrary_name: spa3d\n---\n\n# Mine ü\n"
FILES = {"README.md", "config.json", "model.safetensors", "passport.json"}


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A model with its card."""
    shutil.copytree(model_folder / "model", tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text(CARD, encoding="utf-8")
    (tmp_path / "model" / "passport.json").write_text('{"seeds": {}}')
    return tmp_path / "model"


class Hub:
    """Stand-in for the hub: keeps what would be uploaded."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def create_repo(self, repo_id: str, **_: Any) -> Any:
        return type("Created", (), {"repo_id": repo_id})()

    def create_commit(self, *, operations: Any, **_: Any) -> None:
        self.files |= {each.path_in_repo: Path(each.path_or_fileobj).read_bytes() for each in operations}


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Hub:
    here = Hub()
    monkeypatch.setattr(hub, "hf_api", lambda: here)

    def find_no_card(*_: Any, **__: Any) -> Any:
        raise EntryNotFoundError("there is no card")

    monkeypatch.setattr(ModelCard, "load", find_no_card)
    return here


def test_save_pretrained_copies_card_and_passport(folder: Path, tmp_path: Path) -> None:
    model, _ = spa3d.load(folder)
    model.save_pretrained(tmp_path / "copy")
    assert (tmp_path / "copy" / "README.md").read_text(encoding="utf-8") == CARD
    assert (tmp_path / "copy" / "passport.json").read_text() == '{"seeds": {}}'
    (folder / "README.md").unlink()
    (folder / "passport.json").unlink()
    spa3d.load(folder)[0].save_pretrained(tmp_path / "bare")
    assert not {path.name for path in (tmp_path / "bare").iterdir()} & {"README.md", "passport.json"}


def test_push_to_hub_sends_the_card_of_the_model(folder: Path, tmp_path: Path, uploads: Hub) -> None:
    model, processor = spa3d.load(folder)
    model.push_to_hub("me/mine")
    assert uploads.files.keys() >= FILES
    assert uploads.files["README.md"].decode() == CARD
    assert uploads.files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    processor.push_to_hub("me/mine")
    (tmp_path / "back").mkdir()
    for name, content in {**uploads.files, "README.md": CARD.encode()}.items():
        (tmp_path / "back" / name).write_bytes(content)
    again, _ = spa3d.load(tmp_path / "back")
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))


def test_let_train_drops_a_card_about_other_weights(folder: Path, tmp_path: Path) -> None:
    model, _ = spa3d.load(folder)
    let_train(model, TrainSettings(), seed=0)
    model.save_pretrained(tmp_path / "trained")
    assert not (tmp_path / "trained" / "README.md").exists()
