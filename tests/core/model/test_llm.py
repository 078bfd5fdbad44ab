"""Loading of LLMs in the precision of their files; errors name the setting."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, CTRLTokenizer

from spa3d.config.settings import LLMSettings
from spa3d.errors import CheckpointError
from spa3d.model.llm import check_causal_lm, check_llm, llm_config, load_causal_lm, make_llm, special_tokens

TINY = LLMSettings(hidden_size=16, layers=1, heads=2, intermediate_size=16, vocab_size=300)


def save(folder: Path) -> Path:
    """A folder with a small LLM."""
    llm, tokenizer, _ = make_llm(TINY, lambda: iter(["a red chair"] * 3))
    llm.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_load_causal_lm_keeps_the_dtype_of_the_files(tmp_path: Path) -> None:
    llm, tokenizer, _ = make_llm(TINY, lambda: iter(["a red chair"] * 3))
    llm.to(torch.bfloat16).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, words = load_causal_lm(str(tmp_path), flag="--llm", alternative="nothing")
    assert loaded.dtype == torch.bfloat16
    assert words.get_vocab() == tokenizer.get_vocab()


def test_load_causal_lm_names_the_setting_and_the_alternative(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    message = "transformers cannot load a causal LM from there"
    end = "give a folder with config.json, weights and tokenizer, or something else"
    for path, reason in ((gone, "FileNotFoundError: there is no such folder"), (str(tmp_path), "[^\n]*")):
        with pytest.raises(CheckpointError, match=rf"^--judge\.llm {path}: {message} \({reason}\); {end}$"):
            load_causal_lm(path, flag="--judge.llm", alternative="something else")


def test_make_llm_names_the_flag_of_a_missing_llm(tmp_path: Path) -> None:
    settings = LLMSettings(path=str(tmp_path / "gone"))
    with pytest.raises(CheckpointError, match=r"^--llm .*gone: transformers cannot .* or the preset tiny$"):
        make_llm(settings, lambda: iter(()))
    with pytest.raises(CheckpointError, match=r"^--llm .*gone: transformers cannot .* or the preset tiny$"):
        llm_config(settings)


class Code:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def configure(**values: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def rewrite(folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})

    return rewrite


def point_outside(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "stolen.safetensors")
    names = load_file(folder.parent / "stolen.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "../stolen.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def hide_code(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Code(folder / "it ran")}))


def bring_a_tokenizer(folder: Path) -> None:
    (folder / "theirs.py").write_text("from pathlib import Path\nPath(__file__).with_name('it ran').touch()\n")
    path = folder / "tokenizer_config.json"
    values = {**json.loads(path.read_text()), "auto_map": {"AutoTokenizer": ["theirs.A", "theirs.A"]}}
    path.write_text(json.dumps({**values, "tokenizer_class": "TheirTokenizer"}))


def bring_a_model(folder: Path) -> None:
    (folder / "theirs.py").write_text("from pathlib import Path\nPath(__file__).with_name('it ran').touch()\n")
    auto_map = {"AutoConfig": "theirs.A", "AutoModelForCausalLM": "theirs.A"}
    configure(model_type="theirs", auto_map=auto_map)(folder)


def add_a_token(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<more>"])
    tokenizer.save_pretrained(folder)


def cut(name: str, content: str | None = None) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        old = (folder / name).read_bytes()
        (folder / name).write_bytes(old[: len(old) // 2] if content is None else content.encode())

    return change


NORM = "model.layers.0.input_layernorm.weight"
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (tensors(lambda s: s.pop(NORM)), rf"not those of its config\.json: 1 missing, such as {NORM}; get"),
    "extra": (tensors(lambda s: s.update(stray=torch.ones(2))), "1 left over, such as stray; get"),
    "more layers": (configure(num_hidden_layers=2), r"9 missing, such as model\.layers\.1\.input_layernorm"),
    "shape": (configure(intermediate_size=8), r"3 of another shape, such as model\.layers\.0\.mlp\.down_proj"),
    "cut weights": (cut("model.safetensors"), "SafetensorError: "),
    "cut config": (cut("config.json"), "JSONDecodeError|OSError: "),
    "deep config": (cut("config.json", "[" * 100_000), "RecursionError: "),
    "odd tokenizer": (cut("tokenizer.json", "[]"), "TypeError: "),
    "no heads": (configure(num_attention_heads=0), "ZeroDivisionError: "),
    "odd field": (configure(hidden_size="x"), "Validation error for field 'hidden_size': .*x"),
    "quantized": (configure(quantization_config={"quant_method": "gptq", "bits": 4}), "ImportError: .*optimum"),
    "odd dtype": (configure(dtype="float99"), "float99"),
    "outside": (point_outside, r"names \.\./stolen\.safetensors, which is no file beside it"),
    "pickle": (hide_code, "pickle with more than tensors, which could run code; nothing of it was loaded"),
    "too many tokens": (add_a_token, r"has ids up to \d+ \(the token '<more>'\), and its embeddings have \d+ rows"),
    "their model": (bring_a_model, "contains custom code"),
    "their tokenizer": (bring_a_tokenizer, "contains custom code"),
}


@pytest.mark.parametrize("error", BROKEN)
def test_check_and_load_refuse_a_broken_llm(tmp_path: Path, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "yes")
    folder = save(tmp_path / "llm")
    spoil, text = BROKEN[error]
    spoil(folder)
    for attempt in (check_causal_lm, load_causal_lm):
        with pytest.raises(CheckpointError, match=rf"^--llm {folder}: [^\n]*{text}[^\n]*$"):
            attempt(str(folder), flag="--llm", alternative="nothing")
    assert not (folder / "it ran").exists()


@pytest.mark.parametrize("kind", ["one file", "shards", "bin"])
def test_check_causal_lm_accepts_a_whole_llm(tmp_path: Path, kind: str) -> None:
    folder = save(tmp_path)
    if kind == "shards":
        load_causal_lm(str(folder), flag="", alternative="")[0].save_pretrained(folder, max_shard_size="20KB")
        assert (folder / "model.safetensors.index.json").exists()
    if kind == "bin":
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    if kind != "one file":
        (folder / "model.safetensors").unlink(missing_ok=True)
    check_causal_lm(str(folder), flag="--llm", alternative="")
    assert load_causal_lm(str(folder), flag="--llm", alternative="")[0].num_parameters() > 0


def test_check_llm_refuses_a_decoder_that_takes_no_embeddings(tmp_path: Path) -> None:
    folder = save(tmp_path)
    config = AutoConfig.for_model(
        "cpmant", hidden_size=16, num_attention_heads=2, dim_head=8, dim_ff=32, num_hidden_layers=1, vocab_size=400
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    message = (
        rf"^--llm {folder}: a cloud reaches an LLM as embeddings, and a CpmAntForCausalLM takes token ids alone; ch"
    )
    with pytest.raises(CheckpointError, match=message):
        check_llm(str(folder))


def test_check_llm_refuses_a_slow_tokenizer(tmp_path: Path) -> None:
    folder = save(tmp_path)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps({"<unk>": 0, "a": 1, "b</w>": 2}))
    (folder / "merges.txt").write_text("#version\na b</w>\n")
    CTRLTokenizer(folder / "vocab.json", folder / "merges.txt").save_pretrained(folder)
    with pytest.raises(
        CheckpointError, match=r"^--llm .*: its tokenizer does not say where .* a tokenizer\.json is ne"
    ):
        check_llm(str(folder))


def test_check_llm_says_how_a_sentencepiece_tokenizer_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path)
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    monkeypatch.setattr("spa3d.model.llm.find_spec", lambda _: None)
    with pytest.raises(
        CheckpointError, match=r"; if it is its tokenizer\.model, pip install sentencepiece protobuf; e"
    ):
        check_llm(str(folder))


def test_check_llm_takes_a_usual_llm(tmp_path: Path) -> None:
    check_llm(str(save(tmp_path)))


def test_special_tokens_are_those_of_the_llm(tmp_path: Path) -> None:
    _, tokenizer, _ = make_llm(TINY, lambda: iter(["a red chair"] * 3))
    tokenizer.add_tokens([AddedToken("<|eot|>", special=True)], special_tokens=True)
    save(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    points = {"<point_start>", "<point_patch>", "<point_end>"}
    assert {*special_tokens(LLMSettings(path=str(tmp_path)))} == points | {"<s>", "</s>", "<pad>", "<|eot|>"}
    assert {*special_tokens(TINY)} == points | {"<s>", "</s>", "<pad>"}


def test_check_llm_says_that_a_pointllm_is_a_base(tmp_path: Path, make_pointllm: Callable[..., Any]) -> None:
    make_pointllm(tmp_path / "p")
    with pytest.raises(CheckpointError, match=r"^--llm .*; it is a PointLLM, encoder and LLM in one; give it as --ba"):
        check_llm(str(tmp_path / "p"))
