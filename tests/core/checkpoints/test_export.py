"""Exports have the same weights, in PointLLM's layout bit for bit, or are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file

import spa3d
import spa3d.auto
from spa3d.artifacts.hashing import hash_weights
from spa3d.checkpoints.export import export
from spa3d.checkpoints.pointllm_export import unsupported_features
from spa3d.errors import CheckpointError, OutputError


def read_all(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pointllm_comes_back_bit_for_bit(tmp_path: Path, make_pointllm: Any, dtype: torch.dtype) -> None:
    state = make_pointllm(tmp_path / "theirs", dtype=dtype)
    export(tmp_path / "theirs", tmp_path / "ours", format="hf")
    export(tmp_path / "ours", tmp_path / "back", format="pointllm")
    back = read_all(tmp_path / "back")
    assert back.keys() == state.keys()
    for name, value in state.items():
        assert back[name].dtype == value.dtype, name
        assert torch.equal(back[name], value), name
    before, after = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("theirs", "back"))
    added = {"initializer_range", "DEFAULT_POINT_TOKEN"}
    assert {key: after[key] for key in after.keys() - added - {"torch_dtype"}} == {
        **{key: before[key] for key in before.keys() - {"transformers_version", "torch_dtype"}},
        "point_backbone_config_name": "PointTransformer_custom",
    }
    assert (tmp_path / "back" / "tokenizer.model").read_bytes() == (tmp_path / "theirs/tokenizer.model").read_bytes()
    text = "USER: <point_start><point_patch><point_end>\nWhat? ASSISTANT: A mug.</s>"
    ids = [spa3d.load(tmp_path / name)[1].tokenizer(text)["input_ids"] for name in ("theirs", "ours", "back")]
    assert ids[0] == ids[1] == ids[2]


def test_an_export_for_transformers_is_read_by_its_auto_classes(tmp_path: Path, make_pointllm: Any) -> None:
    from transformers import AutoModelForCausalLM, AutoProcessor

    make_pointllm(tmp_path / "theirs")
    (tmp_path / "theirs" / "README.md").write_text("a card")
    folder = spa3d.export(tmp_path / "theirs", tmp_path / "ours")
    model, processor = AutoModelForCausalLM.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    expected, _ = spa3d.load(tmp_path / "theirs")
    inputs = processor("What is this?", torch.rand(80, 6).numpy())
    torch.testing.assert_close(model.eval()(**inputs).logits, expected(**inputs).logits)
    assert (folder / "README.md").read_text() == "a card"


@pytest.mark.parametrize("layout", ["hf", "pointllm"])
def test_an_export_writes_card_and_passport_where_there_are_none(
    tmp_path: Path, make_pointllm: Any, layout: Any
) -> None:
    make_pointllm(tmp_path / "theirs")
    folder = export(tmp_path / "theirs", tmp_path / "ours", format=layout)
    card, passport = ModelCard.load(folder / "README.md"), json.loads((folder / "passport.json").read_text())
    assert card.data.library_name == "spa3d"
    assert "It was not measured" in card.text
    assert str(tmp_path) not in card.content + json.dumps(passport)
    assert passport["parts"] == {"encoder": "pointbert", "projector": "mlp", "llm": "llama"}
    model, processor = spa3d.load(folder)
    assert passport["weights"]["model"] == hash_weights(model.state_dict())
    assert passport["clouds"]["count"] == processor.points["count"]
    again = export(folder, tmp_path / "again")
    assert (again / "README.md").read_text() == card.content


def test_unsupported_features_names_what_pointllm_cannot_hold(toy: Any) -> None:
    model, processor, _ = toy()
    model.config.encoder = {"name": "pointnext", "config": {}}
    model.config.projector = {"name": "qformer", "config": {}}
    model.config.text_config.num_key_value_heads = 1
    model.config.text_config.tie_word_embeddings = True
    assert unsupported_features(model.config, processor) == [
        "encoder pointnext (its encoder is pointbert)",
        "projector qformer (its projectors are mlp and linear)",
        "an LLM with fewer heads for keys and values than for queries",
        "an LLM with biases or tied embeddings",
        "a tokenizer that was not read from LLaMA's tokenizer.model",
        "another conversation template or system prompt than Vicuna v1.1's",
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"format": "gguf"}, CheckpointError, "--format gguf: possible are hf and pointllm"),
        ({"merge": True}, CheckpointError, "has no adapters; leave it out"),
        ({"output": "."}, OutputError, "is there and not empty"),
    ],
)
def test_export_refuses_what_it_cannot_do(
    tmp_path: Path, make_pointllm: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    make_pointllm(tmp_path)
    output = tmp_path / arguments.pop("output", "exported")
    with pytest.raises(error, match=message):
        export(tmp_path, output, **arguments)
    assert not (tmp_path / "exported").exists()


def test_adapters_are_exported_alone_or_merged(tmp_path: Path, make_pointllm: Any) -> None:
    make_pointllm(tmp_path / "model")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds adapters, which PointLLM's layout cannot hold; add --merge"):
        export(tmp_path, tmp_path / "theirs", format="pointllm")
    assert [path.name for path in export(tmp_path, tmp_path / "alone").iterdir()] == ["adapter_config.json"]
    whole = export(tmp_path, tmp_path / "whole", format="pointllm", merge=True)
    assert read_all(whole).keys() == read_all(tmp_path / "model").keys()
