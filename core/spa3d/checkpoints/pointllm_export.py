"""Writes a 3D LLM in PointLLM's layout, if PointLLM can hold it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from torch import Tensor

from spa3d.checkpoints.pointllm import FREQUENCIES, SYSTEM, TOKENIZER, pointllm_name, rotary_frequencies
from spa3d.config.pointllm_parts import BACKBONES, FIELDS, FIXED, MODEL_TYPE, POINTS
from spa3d.errors import CheckpointError
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.tokenizer import BOS, EOS

CUSTOM = "PointTransformer_custom"
"""Name of the YAML file of an encoder that is none of PointLLM's."""
LLAMA_ENTRIES = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act"),
    *("max_position_embeddings", "initializer_range", "rms_norm_eps", "use_cache", "tie_word_embeddings"),
    *("bos_token_id", "eos_token_id", "pad_token_id"),
)
"""Entries of config.json that the LLaMA of transformers 4.28 reads."""


def unsupported_features(config: Spa3dConfig, processor: Spa3dProcessor) -> list[str]:
    """What PointLLM cannot hold of a model; empty if it can hold everything."""
    encoder, projector = config.encoder, config.projector
    unsupported: list[str] = []
    if encoder["name"] == "pointbert":
        unsupported += _unsupported_in_encoder(encoder["config"])
    else:
        unsupported.append(f"encoder {encoder['name']} (its encoder is pointbert)")
    if projector["name"] not in ("mlp", "linear"):
        unsupported.append(f"projector {projector['name']} (its projectors are mlp and linear)")
    unsupported += [f"an LLM {what}" for what in _unsupported_in_llm(config.text_config)]
    if processor.sentencepiece is None:
        unsupported.append(f"a tokenizer that was not read from LLaMA's {TOKENIZER}")
    if (processor.conversation, processor.system) != ("vicuna", SYSTEM):
        unsupported.append("another conversation template or system prompt than Vicuna v1.1's")
    if not processor.points.get("normalize"):
        unsupported.append("clouds that are not normalized")
    return unsupported


def _unsupported_in_encoder(config: Mapping[str, Any]) -> Iterator[str]:
    """Settings of encoder ``pointbert`` that are fixed in PointLLM."""
    for key, fixed in FIXED.items():
        if key != "drop_path" and config[key] != fixed:
            yield f"encoder {key} {config[key]} (fixed: {fixed})"
    if config["inputs"] not in (["xyz"], ["xyz", "rgb"]):
        yield f"encoder inputs {', '.join(config['inputs'])} (it takes xyz, or xyz and rgb)"


def _unsupported_in_llm(llm: Any) -> Iterator[str]:
    """What the LLaMA of transformers 4.28 does not have."""
    if llm.model_type != "llama":
        yield f"of type {llm.model_type} (its LLM is LLaMA)"
        return
    if llm.num_key_value_heads != llm.num_attention_heads:
        yield "with fewer heads for keys and values than for queries"
    if llm.attention_bias or llm.mlp_bias or llm.tie_word_embeddings:
        yield "with biases or tied embeddings"
    if llm.rope_parameters["rope_type"] != "default" or float(llm.rope_parameters["rope_theta"]) != 10000:
        yield "with other rotary frequencies than LLaMA's"
    if llm.head_dim * llm.num_attention_heads != llm.hidden_size:
        yield "with heads of another width than hidden size / heads"


def write_pointllm(model: Spa3dModel, processor: Spa3dProcessor, folder: Path, *, shard_size: str = "9GB") -> None:
    """Write `model` to `folder` in PointLLM's layout: config.json, safetensors, tokenizer.

    A weight that float32 arithmetic left with values of the LLM's data type is written in that type. The rotary
    frequencies are computed again, in float32.

    Raises:
        CheckpointError: PointLLM cannot hold it; every reason is named.

    """
    unsupported = unsupported_features(model.config, processor)
    if unsupported:
        raise CheckpointError(
            f"PointLLM's layout cannot hold this model: it has {'; '.join(unsupported)}; take --format hf"
        )
    folder.mkdir(parents=True, exist_ok=True)
    backbone, block = _backbone(model.config)
    if backbone not in BACKBONES:
        _write_text(folder / f"{backbone}.yaml", yaml.safe_dump({"model": block, "npoints": model.config.num_points}))
    _write_json(folder / "config.json", _config_entries(model, processor, backbone))
    _write_json(folder / "generation_config.json", _special_ids(model.config.text_config))
    _write_tokenizer(processor, folder)
    _write_weights(model, folder, shard_size)


def _backbone(config: Spa3dConfig) -> tuple[str, Mapping[str, Any]]:
    """Name and block ``model`` of the YAML file with the encoder's shape."""
    values, widths = config.encoder["config"], config.projector["config"].get("widths", [])
    block = {theirs: values[ours] for theirs, ours in FIELDS.items()}
    if widths:
        block |= {"projection_hidden_layer": len(widths), "projection_hidden_dim": list(widths)}
    known = {name: {"drop_path_rate": FIXED["drop_path"], **each} for name, each in BACKBONES.items()}
    fits = config.num_points == POINTS
    name = next((name for name, each in known.items() if each == block and fits), CUSTOM)
    return name, {"NAME": "PointTransformer", "cls_dim": 40, "point_dims": 3, "use_max_pool": False, **block}


def _config_entries(model: Spa3dModel, processor: Spa3dProcessor, backbone: str) -> dict[str, Any]:
    llm = model.config.text_config.to_dict()
    start, patch, end = processor.point_tokens
    names = {"PATCH": patch, **({"START": start, "END": end} if start else {})}
    return {
        "architectures": ["PointLLMLlamaForCausalLM"],
        "model_type": MODEL_TYPE,
        **{key: llm[key] for key in LLAMA_ENTRIES},
        "torch_dtype": str(model.dtype).removeprefix("torch."),
        "point_backbone": "PointBERT",
        "point_backbone_config_name": backbone,
        "use_color": "rgb" in model.encoder.inputs,
        "mm_use_point_start_end": bool(start),
        "DEFAULT_POINT_TOKEN": "<point>",
        **{f"DEFAULT_POINT_{part}_TOKEN": name for part, name in names.items()},
    }


def _special_ids(llm: Any) -> dict[str, Any]:
    return {key: getattr(llm, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}


def _write_tokenizer(processor: Spa3dProcessor, folder: Path) -> None:
    """Write the files of LLaMA's slow tokenizer."""
    tokenizer = processor.tokenizer
    special = {"bos_token": BOS, "eos_token": EOS, "unk_token": tokenizer.unk_token, "pad_token": tokenizer.pad_token}
    (folder / TOKENIZER).write_bytes(processor.sentencepiece or b"")
    _write_json(folder / "special_tokens_map.json", special)
    _write_json(
        folder / "tokenizer_config.json",
        {
            **special,
            "add_bos_token": True,
            "add_eos_token": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": processor.max_length,
            "padding_side": "right",
            "tokenizer_class": "LlamaTokenizer",
        },
    )
    added = {token.content: number for number, token in tokenizer.added_tokens_decoder.items()}
    _write_json(
        folder / "added_tokens.json", {name: number for name, number in added.items() if name not in special.values()}
    )


def _write_weights(model: Spa3dModel, folder: Path, shard_size: str) -> None:
    state = dict(_renamed_weights(model))
    split = split_torch_state_dict_into_shards(state, max_shard_size=shard_size)
    for name, tensors in split.filename_to_tensors.items():
        shard = {tensor: state[tensor].contiguous() for tensor in tensors}
        save_file(shard, folder / name, metadata={"format": "pt"})
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        _write_json(folder / "model.safetensors.index.json", index)


def _renamed_weights(model: Spa3dModel) -> Iterator[tuple[str, Tensor]]:
    """Weights under PointLLM's names, with the rotary frequencies of each layer."""
    projector, llm = model.config.projector["name"], model.config.text_config
    for name, tensor in model.state_dict().items():
        yield pointllm_name(name, projector), _narrow(tensor, model.dtype)
    for layer in range(llm.num_hidden_layers):
        yield f"model.layers.{layer}.self_attn.{FREQUENCIES}", rotary_frequencies(llm)


def _narrow(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in `dtype` if that holds all of its values, else unchanged."""
    if not tensor.is_floating_point() or tensor.dtype == dtype:
        return tensor
    narrow = tensor.to(dtype)
    return narrow if torch.equal(narrow.to(tensor.dtype), tensor) else tensor


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    _write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
