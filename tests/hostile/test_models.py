"""Model folders that are damaged or hostile, and leftovers of runs and bases."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
Damage = Callable[[Path], object]
FLAGS = {
    "llm": ("--llm", "llm"),
    "base": ("--base", "base"),
}
WRITER = ("--objective", "dpo", "--pairs.mode", "corruption", "--pairs.writer", "model", "--pairs.llm", "llm")


def write(name: str, content: str | bytes) -> Damage:
    raw = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / name).write_bytes(raw)


def change(name: str, **values: Any) -> Damage:
    """Set entries of a JSON file, those of its text_config too; None removes an entry."""

    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        for block in [content, *([content["text_config"]] if "text_config" in content else [])]:
            block |= values
            for key in [key for key, value in values.items() if value is None]:
                del block[key]
        (folder / name).write_text(json.dumps(content))

    return damage


def remove(*names: str) -> Damage:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names]


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def drop_tensor(folder: Path) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    del state[min(state)]
    save_file(state, path, metadata={"format": "pt"})


def reshape_tensor(folder: Path) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    name = next(name for name in state if name.endswith("q_proj.weight"))
    save_file({**state, name: state[name][:3].clone()}, path, metadata={"format": "pt"})


def spoil_tensor(folder: Path) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    next(value for name, value in state.items() if name.endswith("q_proj.weight")).fill_(float("nan"))
    save_file(state, path, metadata={"format": "pt"})


def hide_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")


def index_outside(folder: Path) -> None:
    names = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder.parent / "stolen.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "../stolen.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def make_pipe(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


DEEP = "[" * 100_000
DAMAGES: dict[str, Damage] = {
    "no config": remove("config.json"),
    "empty config": write("config.json", ""),
    "list config": write("config.json", "[]"),
    "deep config": write("config.json", DEEP),
    "binary config": write("config.json", b"\xff\xfe\x00"),
    "no weights": remove("model.safetensors"),
    "empty weights": write("model.safetensors", ""),
    "html weights": write("model.safetensors", "<!DOCTYPE html><html>"),
    "pointer": write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "huge header": write("model.safetensors", b"\xff" * 8 + b"{}"),
    "cut weights": cut_weights,
    "fewer tensors": drop_tensor,
    "other shape": reshape_tensor,
    "nan weights": spoil_tensor,
    "hostile pickle": hide_weights,
    "index outside": index_outside,
    "weights pipe": make_pipe("model.safetensors"),
    "config pipe": make_pipe("config.json"),
    "tokenizer pipe": make_pipe("tokenizer.json"),
    "heads 0": change("config.json", num_attention_heads=0),
    "heads 3": change("config.json", num_attention_heads=3),
    "heads -1": change("config.json", num_attention_heads=-1),
    "hidden text": change("config.json", hidden_size="x"),
    "hidden huge": change("config.json", hidden_size=10**30),
    "vocabulary": change("config.json", vocab_size=7),
    "layers": change("config.json", num_hidden_layers=9),
    "layers text": change("config.json", num_hidden_layers="x"),
    "activation": change("config.json", hidden_act="nope"),
    "rope": change("config.json", rope_parameters={"rope_type": "nope"}),
    "quantized": change("config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}),
    "gptq": change("config.json", quantization_config={"quant_method": "gptq", "bits": 4}),
    "flash": change("config.json", attn_implementation="evil/kernels"),
    "dtype": change("config.json", dtype="float99"),
    "float8": change("config.json", dtype="float8_e4m3fn"),
    "model type": change("config.json", model_type="evil"),
    "bert": change("config.json", model_type="bert"),
    "no model type": change("config.json", model_type=None),
    "code": change("config.json", auto_map={"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}, model_type="e"),
    "no tokenizer": remove("tokenizer.json", "tokenizer_config.json"),
    "list tokenizer": write("tokenizer.json", "[]"),
    "empty tokenizer": write("tokenizer.json", ""),
    "object tokenizer": write("tokenizer.json", "{}"),
    "deep tokenizer": write("tokenizer.json", DEEP),
    "list tokenizer config": write("tokenizer_config.json", "[]"),
    "deep tokenizer config": write("tokenizer_config.json", DEEP),
}
BASE_DAMAGES: dict[str, Damage] = {
    "text config": write("config.json", '{"text_config": "x"}'),
    "list processor": write("processor_config.json", "[]"),
    "deep processor": write("processor_config.json", DEEP),
    "no processor": remove("processor_config.json"),
    "one id": change("config.json", point_ids=[1, 2]),
    "large ids": change("config.json", point_ids=[10**9] * 3),
    "text ids": change("config.json", point_ids="abc"),
    "points": change("config.json", num_points="x"),
    "axis": change("config.json", up_axis="w"),
    "encoder": change("config.json", encoder="x"),
    "encoder name": change("config.json", encoder={"name": 3, "config": {}}),
    "projector": change("config.json", projector={"name": "nope", "config": {}}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", FLAGS)
def test_run_refuses_a_model(
    refuse_run: Callable[..., str], folder: Callable[[str], Path], name: str, damage: Damage
) -> None:
    damage(folder(name))
    message = refuse_run(*FLAGS[name])
    assert f"--{name}" in message
    assert not Path("hacked").exists()


@pytest.mark.parametrize("damage", BASE_DAMAGES.values(), ids=BASE_DAMAGES)
def test_run_refuses_a_base(refuse_run: Callable[..., str], folder: Callable[[str], Path], damage: Damage) -> None:
    damage(folder("base"))
    assert "--base" in refuse_run("--base", "base")


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_run_refuses_a_writer(refuse_run: Callable[..., str], folder: Callable[[str], Path], damage: Damage) -> None:
    damage(folder("llm"))
    assert "--pairs.llm" in refuse_run(*WRITER)


WEIGHTS = {
    "empty": b"",
    "html": b"<html>",
    "text": b"hello",
    "header": b"\xff" * 8 + b"{}",
    "zip": b"PK\x03\x04" + b"\0" * 50,
    "pickle": b"cos\nsystem\n(S'touch hacked'\ntR.",
    "pickle 2": b"\x80\x02cos\nsystem\nq\x00X\x0c\x00\x00\x00touch hackedq\x01\x85q\x02Rq\x03.",
    "torch": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "deep": (100_000).to_bytes(8, "little") + b"{" * 100_000,
}


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w.bin"])
@pytest.mark.parametrize("content", WEIGHTS.values(), ids=WEIGHTS)
def test_run_refuses_a_checkpoint(refuse_run: Callable[..., str], content: bytes, name: str) -> None:
    Path(name).write_bytes(content)
    assert name in refuse_run("--encoder.checkpoint", name)
    assert not Path("hacked").exists()


def test_run_refuses_weights_of_another_model(refuse_run: Callable[..., str], folder: Callable[[str], Path]) -> None:
    folder("llm")
    assert "llm" in refuse_run("--encoder.checkpoint", "llm")
