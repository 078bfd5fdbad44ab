"""Foreign models are read without code, network or files outside of their folder."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants, is_offline_mode

from spa3d.errors import CheckpointError, DataError, Note
from spa3d.model import foreign_folders
from spa3d.model.foreign_folders import foreign_folder, hub_commit, read_weight_index, refuse_partial

ARGUMENTS: dict[str, Any] = {"weights": True, "where": "--llm x", "problem": "no", "hint": "give another"}


def test_foreign_folder_is_read_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with foreign_folder(tmp_path, **ARGUMENTS) as folder:
        assert folder == tmp_path
        assert is_offline_mode()
    with pytest.raises(CheckpointError), foreign_folder(tmp_path, **ARGUMENTS):
        raise RuntimeError
    assert not is_offline_mode()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json", "tokenizer.json"])
def test_foreign_folder_does_not_wait_for_a_pipe(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    message = f"^--llm x: {name} is no regular file; get the folder again, complete$"
    with pytest.raises(CheckpointError, match=message), foreign_folder(tmp_path, **ARGUMENTS):
        pass


class Panic(BaseException):
    """As libraries in Rust raise it."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("heads"), "KeyError: 'heads'"),
        (RecursionError("deep"), "RecursionError: deep"),
        (Panic("index\nout of range"), "Panic: index"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (ValueError("\x1b[2J\u202e" + "x" * 500), r"ValueError: \\x1b\[2J\\u202ex{292}\.\.\."),
    ],
)
def test_foreign_folder_makes_one_error_of_all(tmp_path: Path, error: BaseException, reason: str) -> None:
    with (
        pytest.raises(CheckpointError, match=rf"^--llm x: no \({reason}\); give another$"),
        foreign_folder(tmp_path, **ARGUMENTS),
    ):
        raise error


@pytest.mark.parametrize("error", [DataError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_foreign_folder_passes_other_exceptions(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, foreign_folder(tmp_path, **ARGUMENTS):
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors.index.json", {"weight_map": {"a": "../stolen.safetensors"}}, r"names \.\./stolen"),
        ("pytorch_model.bin.index.json", {"weight_map": {"a": "/etc/x.bin"}}, "names /etc/x.bin"),
        ("other.safetensors.index.json", {"weight_map": ["a"]}, "does not list the file of each tensor"),
        ("adapter_config.json", {"base_model_name_or_path": "evil/llm"}, "holds adapters"),
        ("config.json", {"attn_implementation": "evil/kernel"}, "asks for code from a hub .attn_implementation: evil"),
        ("config.json", {"text_config": [{"_attn_implementation": {"": "a/b"}}]}, "asks for code from a hub"),
        ("config.json", "{", "JSONDecodeError"),
    ],
)
def test_foreign_folder_refuses_what_leads_out_of_it(tmp_path: Path, name: str, content: Any, message: str) -> None:
    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(CheckpointError, match=message), foreign_folder(tmp_path, **ARGUMENTS):
        pass


def test_foreign_folder_refuses_a_missing_folder() -> None:
    with pytest.raises(CheckpointError, match="there is no such folder"), foreign_folder("/nowhere/x", **ARGUMENTS):
        pass


def test_read_weight_index_returns_files_beside_it(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}))
    assert read_weight_index(index) == {"a": "1.safetensors", "b": "2.safetensors"}


def test_refuse_partial_counts_and_names_the_weights() -> None:
    info = {"missing_keys": {"d", "a", "c", "b"}, "unexpected_keys": set(), "mismatched_keys": [("e", (1,), (2,))]}
    shapes = r"1 of another shape, such as e \(\(1,\) there, \(2,\) here\); get the folder again"
    with pytest.raises(CheckpointError, match=rf"^x: 4 missing, such as a, b, c, …; {shapes}"):
        refuse_partial(info, "x")
    refuse_partial({"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": []}, "x")


def test_hub_is_asked_for_an_id_only_and_announced_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    snapshot = tmp_path / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)

    def download(name: str, *args: str, **options: Any) -> str:
        calls.append(f"{name} {options.get('revision', '')} {options.get('allow_patterns', args)}")
        return str(snapshot / "config.json" if args else snapshot)

    monkeypatch.setattr(foreign_folders, "hf_hub_download", download)
    monkeypatch.setattr(foreign_folders, "snapshot_download", download)
    monkeypatch.chdir(tmp_path)
    hub_commit.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Note, match="owner/llm: no folder here has this name; asking the Hugging Face hub"):
            hub_commit("owner/llm")
    assert calls == []
    with pytest.warns(Note), foreign_folder("owner/llm", **ARGUMENTS) as folder:
        assert folder == snapshot
    assert len(calls) == 4  # config.json, settings, safetensors, and without any of them .bin
    assert all("c0ffee" in call for call in calls[1:])
    (tmp_path / "owner").mkdir()
    with pytest.raises(CheckpointError, match="no such folder"), foreign_folder("owner/llm", **ARGUMENTS):
        pass
    assert len(calls) == 4
