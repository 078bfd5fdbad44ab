"""Reading of tensors: files of every age; other content is neither run nor ignored."""

from __future__ import annotations

import argparse
import builtins
import io
import json
import os
import pathlib
import pickle
import subprocess
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from spa3d.checkpoints.tensor_files import files_of, read_tensors
from spa3d.errors import CheckpointError


def state() -> dict[str, Tensor]:
    return OrderedDict({"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3).half()})


def reads_back(path: Path) -> bool:
    """Whether exactly `state` is found in `path`."""
    result, expected = read_tensors(path), state()
    return set(result) == set(expected) and all(result[name].equal(value) for name, value in expected.items())


def training_checkpoint() -> dict[str, Any]:
    """What a training script leaves beside its weights."""
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(3)).sum().backward()
    optimizer.step()
    arguments = argparse.Namespace(
        lr=1e-3, betas=(0.9, 0.98), output_dir=pathlib.PurePosixPath("out"), device=torch.device("cuda:3"),
        names=["a"], chosen={1}, mean=np.float32(0.5), sizes=np.arange(3), flags=np.bool_(True), nothing=None,
    )  # fmt: skip
    beside = {"optimizer": optimizer.state_dict(), "scaler": {"scale": 65536.0}, "best_acc1": np.float64(61.5)}
    return {"epoch": 249, "state_dict": state(), **beside, "args": arguments}


WRAPS: dict[str, Callable[[], Any]] = {
    "ulip": training_checkpoint,
    "bare": state,
    "model": lambda: {"model": state(), "epoch": 3},
    "parameters": lambda: {name: nn.Parameter(value) for name, value in state().items()},
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors", "weights"])
def test_a_torch_file_of_any_age_and_name(tmp_path: Path, wrap: str, legacy: bool, name: str) -> None:
    torch.save(WRAPS[wrap](), tmp_path / name, _use_new_zipfile_serialization=not legacy)
    assert reads_back(tmp_path / name)
    assert files_of(tmp_path / name, read_tensors(tmp_path / name), ["b"]) == (tmp_path / name,)


def test_read_tensors_maps_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kwargs: dict[str, Any] = {}
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda file, **how: (kwargs.update(how), load(file, **how))[1])
    torch.save(state(), tmp_path / "weights.pt")
    assert reads_back(tmp_path / "weights.pt")
    assert (kwargs["mmap"], kwargs["weights_only"]) == (True, True)


def test_a_file_that_was_packed_again_is_unpacked(tmp_path: Path) -> None:
    torch.save({"big": torch.zeros(100_000), **state()}, tmp_path / "weights.pt")
    with ZipFile(tmp_path / "weights.pt") as old, ZipFile(tmp_path / "packed.pt", "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    result = read_tensors(tmp_path / "packed.pt")
    assert result["big"].count_nonzero() == 0
    assert all(result[name].equal(value) for name, value in state().items())


def test_read_tensors_drops_attributes_of_tensors(tmp_path: Path) -> None:
    tensor: Any = torch.ones(2)
    tensor.isfinite = "of course"
    torch.save({"a": tensor}, tmp_path / "weights.pt")
    assert vars(read_tensors(tmp_path / "weights.pt")["a"]) == {}


def test_safetensors_by_whatever_name(tmp_path: Path) -> None:
    for name in ("weights.safetensors", "weights.pt"):
        save_file(state(), tmp_path / name)
        assert reads_back(tmp_path / name)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_read_tensors_opens_only_the_needed_shards(tmp_path: Path, kind: str) -> None:
    first, second = (f"part-{number}.{kind}" for number in (1, 2))
    places = {"a.weight": first, "b": first, "c": second}
    save_file(state(), tmp_path / first) if kind == "safetensors" else torch.save(state(), tmp_path / first)
    index = "model.safetensors.index.json" if kind == "safetensors" else "pytorch_model.bin.index.json"
    (tmp_path / index).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    result = read_tensors(tmp_path)
    assert set(result) == set(places)
    assert result["a.weight"].equal(state()["a.weight"])
    assert files_of(tmp_path, result, ["a.weight", "b"]) == (tmp_path / first,)
    with pytest.raises(CheckpointError, match=rf"{second}: cannot be read \(No such file"):
        result["c"]


def test_the_model_of_a_run_is_found_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    save_file(state(), tmp_path / "model" / "model.safetensors")
    assert reads_back(tmp_path)
    assert files_of(tmp_path, read_tensors(tmp_path), ["b"]) == (tmp_path / "model" / "model.safetensors",)


class Payload:
    """Unpickled, it calls something; `fired` is there if it was called."""

    def __init__(self, call: Callable[..., Any], *arguments: object) -> None:
        self.reduced = (call, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.reduced


def payloads(fired: Path) -> dict[str, Payload]:
    program = f"open({str(fired)!r}, 'w')"
    return {
        "os.system": Payload(os.system, f"touch {fired}"),
        "exec": Payload(builtins.exec, program),
        "eval": Payload(builtins.eval, program),
        "io.open": Payload(io.open, str(fired), "w"),
        "subprocess.call": Payload(subprocess.call, ["touch", str(fired)]),
        "getattr": Payload(getattr, Payload(os.system, f"touch {fired}"), "real"),
    }


PLACES: dict[str, Callable[[Any], Any]] = {
    "args": lambda evil: {**training_checkpoint(), "args": argparse.Namespace(lr=evil)},
    "score": lambda evil: {**training_checkpoint(), "best_acc1": evil},
    "state_dict": lambda evil: {"state_dict": {"a": evil}},
    "key": lambda evil: {evil: torch.ones(1)},
    "everything": lambda evil: evil,
}


@pytest.mark.parametrize("name", ["weights.pt", "model.safetensors"])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("position", PLACES)
def test_nothing_in_a_hostile_pickle_runs(tmp_path: Path, position: str, legacy: bool, name: str) -> None:
    fired, path = tmp_path / "fired", tmp_path / name
    for evil in payloads(fired).values():
        torch.save(PLACES[position](evil), path, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(CheckpointError, match=r"holds more than tensors: it asks for .* nothing of it was loaded"):
            read_tensors(path)
        with pytest.raises(CheckpointError):
            read_tensors(tmp_path)  # where it may pass for a model's
    assert not fired.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_in_a_plain_pickle_runs(tmp_path: Path, protocol: int) -> None:
    fired, path = tmp_path / "fired", tmp_path / "weights.pt"
    for evil in payloads(fired).values():
        path.write_bytes(pickle.dumps(evil, protocol=protocol))
        with pytest.raises(CheckpointError):
            read_tensors(path)
    assert not fired.exists()


def test_hostile_pickle_fires_when_unrestricted(tmp_path: Path) -> None:
    fired = tmp_path / "fired"
    for evil in payloads(fired).values():
        pickle.loads(pickle.dumps(evil))
        assert fired.exists()
        fired.unlink()


def test_dictionaries_with_attributes_are_read_as_dictionaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("easydict")
    easy = type("EasyDict", (dict,), {"__module__": "easydict"})
    vars(module)["EasyDict"] = easy
    monkeypatch.setitem(sys.modules, "easydict", module)
    settings = easy(depth=12)
    settings.depth = 12
    torch.save({"state_dict": state(), "args": argparse.Namespace(config=settings)}, tmp_path / "weights.pt")
    assert reads_back(tmp_path / "weights.pt")


def test_stand_ins_store_nothing(tmp_path: Path) -> None:
    beside = {"x": argparse.Namespace(state_dict=state())}
    torch.save(beside, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="holds no tensors; its entries: x"):
        read_tensors(tmp_path / "weights.pt")


def cut_files() -> dict[str, bytes]:
    """Files that were cut short."""
    result = {}
    for legacy in (False, True):
        file = io.BytesIO()
        torch.save(training_checkpoint(), file, _use_new_zipfile_serialization=not legacy)
        result["legacy" if legacy else "zip"] = file.getvalue()
    ends = {"half": 0.5, "all but the end": 0.99}
    return {
        f"{name}, {part}": whole[: int(len(whole) * share)]
        for name, whole in result.items()
        for part, share in ends.items()
    }


@pytest.mark.parametrize("name", cut_files())
def test_a_file_that_was_cut_short(tmp_path: Path, name: str) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(cut_files()[name])
    with pytest.raises(CheckpointError, match=r"weights\.pt: cannot be read as a file of torch \(.*get the file again"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; get the file again"),
        (b"\n<!DOCTYPE html><html>Sign in</html>", "is a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
            "is a pointer of git-lfs .* git lfs pull",
        ),
        (b"the weights are on my other computer", r"is no file of weights \(it begins with b'the weights are "),
        (b"\x93NUMPY\x01\x00v\x00", "is no file of weights"),
        (
            (500).to_bytes(8, "little") + b'{"a":{"dtype":"F32"',
            r"is a safetensors file that was cut short \(27 bytes\)",
        ),
        ((2).to_bytes(8, "little") + b"{]", "cannot be read as safetensors"),
        (b"PK\x03\x04 and so on", "cannot be read as a file of torch"),
        (b"\x80\x02.", "cannot be read as a file of torch"),
        (b"\x80\x04\x95\x01", r"cannot be read as a file of torch \(Unsupported operand 149\)"),
    ],
)
def test_read_tensors_refuses_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"weights\.safetensors: {message}") as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.ones(3), "holds a Tensor and no state dict"),
        ([torch.ones(3)], "holds a list and no state dict"),
        ({"epoch": 3, "lr": 0.1}, "holds no tensors; its entries: epoch, lr"),
        ({}, "holds no tensors; its entries: nothing"),
        (nn.Linear(1, 1), r"holds more than tensors: it asks for torch\.nn\.modules\.linear\.Linear"),
    ],
)
def test_a_torch_file_of_something_else(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=message):
        read_tensors(tmp_path / "weights.pt")


def test_read_tensors_from_a_path_without_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.pt: cannot be read \(No such file or directory\)"):
        read_tensors(tmp_path / "gone.pt")
    with pytest.raises(CheckpointError, match=r"a folder without a saved model .*; give a file of weights"):
        read_tensors(tmp_path)
    (tmp_path / "point_bert_v1.2.pt").touch()
    with pytest.raises(CheckpointError, match=r"name one of its files: point_bert_v1\.2\.pt"):
        read_tensors(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="pipe: is no file and no folder"):
        read_tensors(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "does not list the file of each tensor"),
        ('{"weight_map": ["a"]}', "does not list the file of each tensor"),
        ('{"weight_map": {"a": "../../secret.bin"}}', r"names \.\./\.\./secret\.bin, which is no file beside it"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "names /etc/passwd, which is no file beside it"),
    ],
)
def test_read_tensors_refuses_an_invalid_index(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_tensors(tmp_path)


def test_read_tensors_names_a_tensor_missing_in_its_shard(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "one.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"gone": "one.safetensors"}}')
    with pytest.raises(CheckpointError, match=r"one\.safetensors: gone is not in it, though model\.safetensors\.index"):
        read_tensors(tmp_path)["gone"]


def test_names_of_a_file_stay_on_their_line(tmp_path: Path) -> None:
    torch.save({"entry\nerror: all is well": 1}, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError) as caught:
        read_tensors(tmp_path / "weights.pt")
    assert "\n" not in str(caught.value)
