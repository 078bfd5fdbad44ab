"""PointLLM folders (v1.1 and v1.2) as models of spa3d, with the same logits.

The weights keep their values and data type; only their names change. Left out are the rotary frequencies that each
layer stores, because they follow from the configuration; they are compared with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken
from torch import Tensor
from transformers import LlamaConfig, PreTrainedTokenizerFast

from spa3d.checkpoints.absent_encoder import AbsentEncoder
from spa3d.checkpoints.tensor_files import files_of, read_tensors
from spa3d.config.pointllm_parts import PointLLMParts, read_parts
from spa3d.errors import CheckpointError
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.foreign_folders import SAFELY, refuse_partial
from spa3d.model.llm import CHECKED
from spa3d.model.modeling import Spa3dModel
from spa3d.model.parts import describe_part
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.sentencepiece_file import read_sentencepiece
from spa3d.registry.registry import Registry

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions."
)
"""System prompt of Vicuna v1.1, which PointLLM is trained with."""
TOKENIZER = "tokenizer.model"
FREQUENCIES = "rotary_emb.inv_freq"
COUNTS = "num_batches_tracked"
"""Batch counts of normalizations, which nothing reads."""
SPARE_ROWS = 128
"""Rows of embeddings beyond the tokenizer that a padded vocabulary may have."""
POSITIONS = 2048
"""LLaMA's context, if neither tokenizer nor configuration names one."""


def prefixes(projector: str) -> dict[str, str]:
    """Prefixes of PointLLM's tensor names, and the same of ours, the longest first.

    `projector` is ``mlp`` or ``linear``.
    """
    return {
        "model.point_backbone.": "encoder.",
        "model.point_proj.": "projector.layers." if projector == "mlp" else "projector.layer.",
        "model.": "language_model.model.",
        "lm_head.": "language_model.lm_head.",
    }


def pointllm_name(name: str, projector: str) -> str:
    """The name in PointLLM of one of our tensors; of any other tensor its own."""
    theirs, ours = next((pair for pair in prefixes(projector).items() if name.startswith(pair[1])), ("", ""))
    return theirs + name.removeprefix(ours)


def describe_pointllm(folder: Path, values: Mapping[str, Any], registry: Registry) -> Spa3dConfig:
    """Configuration of the PointLLM in `folder`; its point ids are those of `read_pointllm`.

    Args:
        folder: of the model.
        values: those of its config.json.
        registry: source of its encoder and projector.

    Raises:
        CheckpointError: it has an encoder, a projector or an LLM that spa3d does not know.

    """
    parts = read_parts(folder, values)
    try:
        encoder = describe_part(registry, "encoder", parts.encoder, parts.encoder_config)
        projector = describe_part(registry, "projector", parts.projector, parts.projector_config)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    if values.get("rope_scaling"):
        raise CheckpointError(f"{folder}: its config.json states rope_scaling, which PointLLM's LLaMA does not have")
    known = LlamaConfig().to_dict().keys() | {"rope_theta"}
    llama = {key: value for key, value in values.items() if key in known and key not in ("model_type", "dtype")}
    if (llama.get("pad_token_id") or 0) < 0:  # LLaMA's first conversions state -1
        del llama["pad_token_id"]
    return Spa3dConfig(
        text_config=LlamaConfig(**llama),
        encoder=encoder,
        projector=projector,
        num_points=parts.num_points,
        dtype=values.get("dtype") or values.get("torch_dtype"),
        architectures=[Spa3dModel.__name__],
    )


def read_pointllm(
    folder: Path, values: Mapping[str, Any], arguments: Mapping[str, Any]
) -> tuple[Spa3dModel, Spa3dProcessor]:
    """Load the PointLLM in `folder`.

    Args:
        folder: of the model.
        values: those of its config.json.
        arguments: of ``from_pretrained``: ``config`` from `describe_pointllm`, whose point ids and data type are set,
            and ``encoder`` and ``projector`` with fresh weights.

    A folder with a projector and without any weight of its encoder gets an `AbsentEncoder`.

    Raises:
        CheckpointError: weights, configuration or tokenizer do not fit each other.

    """
    parts, config = read_parts(folder, values), arguments["config"]
    processor = _read_processor(folder, parts, config)
    config.point_ids = processor.point_ids
    config.dtype = config.text_config.dtype = _stored_dtype(folder)
    mapping = {f"^{re.escape(theirs)}": ours for theirs, ours in prefixes(parts.projector).items()}
    keywords = {**arguments, "dtype": config.dtype}
    if _lacks_encoder(folder):
        keywords["encoder"] = AbsentEncoder(arguments["encoder"], folder)
    loaded: Any = Spa3dModel.from_pretrained(folder, key_mapping=mapping, **keywords, **SAFELY, **CHECKED)
    model, info = loaded
    del model._weight_conversions  # save_pretrained would undo the renaming
    _refuse_misfits(folder, info, parts)
    _check_frequencies(folder, config.text_config)
    for name in info["missing_keys"]:  # counts, which some files lack
        model.get_buffer(name).zero_()
    processor.num_point_tokens = model.num_point_tokens()
    return model, processor


def read_pointllm_tokenizer(folder: Path, point_tokens: tuple[str, str, str]) -> PreTrainedTokenizerFast:
    """Read the tokenizer of a PointLLM: LLaMA's, with the point tokens behind it.

    White space around added tokens is dropped, as by the slow tokenizer that PointLLM is trained with.

    Args:
        folder: has ``tokenizer.model``, and may have ``added_tokens.json``.
        point_tokens: names of start, patch and end token; empty ones are not added.

    Raises:
        CheckpointError: a file is missing or broken.

    """
    if not (folder / TOKENIZER).is_file():
        raise CheckpointError(f"{folder}: has no {TOKENIZER}, the tokenizer of LLaMA; copy it into the folder")
    tokenizer = read_sentencepiece(folder / TOKENIZER)
    start, patch, end = point_tokens
    names = [*_added_tokens(folder, len(tokenizer)), patch, start, end]
    tokens = [AddedToken(name, lstrip=True, rstrip=True, normalized=False, special=True) for name in names if name]
    tokenizer.add_tokens(tokens, special_tokens=True)
    return tokenizer


def _added_tokens(folder: Path, size: int) -> list[str]:
    """Names in ``added_tokens.json`` with ids from `size` on, in the order of their ids."""
    path = folder / "added_tokens.json"
    if not path.exists():
        return []
    try:
        ids = {str(name): int(number) for name, number in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: is no list of tokens with their ids; copy it again") from error
    names = sorted((name for name in ids if ids[name] >= size), key=ids.__getitem__)
    if [ids[name] for name in names] != [*range(size, size + len(names))]:
        raise CheckpointError(f"{path}: its ids do not follow the {size} tokens of {TOKENIZER}; copy both again")
    return names


def _read_processor(folder: Path, parts: PointLLMParts, config: Spa3dConfig) -> Spa3dProcessor:
    tokenizer = read_pointllm_tokenizer(folder, parts.point_tokens)
    rows = config.text_config.vocab_size
    if not len(tokenizer) <= rows <= len(tokenizer) + SPARE_ROWS:
        raise CheckpointError(
            f"{folder}: its tokenizer has {len(tokenizer)} tokens, point tokens included, and its config.json states a "
            f"vocab_size of {rows}; give the tokenizer and the config.json of one model"
        )
    processor = Spa3dProcessor(
        tokenizer,
        points={"count": parts.num_points, "method": "fps", "normalize": True, "missing_color": 0.0},
        system=SYSTEM,
        point_tokens=parts.point_tokens,
        max_length=_context(folder, config),
    )
    processor.sentencepiece = (folder / TOKENIZER).read_bytes()
    return processor


def _context(folder: Path, config: Spa3dConfig) -> int:
    """Longest prompt: what the tokenizer states, within the positions of the LLM."""
    positions = int(config.text_config.max_position_embeddings or POSITIONS)
    try:
        stated = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["model_max_length"]
        return min(int(stated), positions)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return positions


def rotary_frequencies(config: Any) -> Tensor:
    """The frequencies that each layer of LLaMA stores, ``(head width / 2,)`` float32."""
    width = config.head_dim or config.hidden_size // config.num_attention_heads
    theta = float(config.rope_parameters["rope_theta"])
    return 1.0 / (theta ** (torch.arange(0, width, 2, device="cpu").float() / width))


def _check_frequencies(folder: Path, config: Any) -> None:
    """Refuse frequencies that are not those of the configuration, rounded or not."""
    expected, tensors = rotary_frequencies(config), read_tensors(folder)
    for name in (name for name in tensors if name.endswith(FREQUENCIES)):
        stored = tensors[name].float()
        if stored.shape != expected.shape or not torch.allclose(stored, expected, rtol=1e-2, atol=1e-6):
            heads, theta = config.num_attention_heads, config.rope_parameters["rope_theta"]
            raise CheckpointError(
                f"{folder}: {name} is not that of {heads} heads and a rope_theta of {theta}, as its config.json has; "
                "give the config.json of these weights"
            )


def _stored_dtype(folder: Path) -> torch.dtype:
    """Data type of the LLM's weights; all files are opened, so that a broken one is named."""
    tensors, name = read_tensors(folder), "model.embed_tokens.weight"
    for file in files_of(folder, tensors, tensors):
        read_tensors(file)
    if name not in tensors:
        raise CheckpointError(f"{folder}: its weights lack {name}, so they are no PointLLM; get the folder again")
    return tensors[name].dtype


def _lacks_encoder(folder: Path) -> bool:
    """Whether the weights have a projector, and nothing of its encoder."""
    projector, encoder = (
        any(name.startswith(f"model.point_{part}.") for name in read_tensors(folder)) for part in ("proj", "backbone")
    )
    return projector and not encoder


def _refuse_misfits(folder: Path, info: Mapping[str, Any], parts: PointLLMParts) -> None:
    """Refuse weights that do not fit the configuration, under PointLLM's names."""

    def rename(names: Iterable[str]) -> list[str]:
        return [pointllm_name(name, parts.projector) for name in names]

    missing = rename(name for name in info["missing_keys"] if not name.endswith(COUNTS))
    unexpected = rename(info["unexpected_keys"])
    shapes = [(*rename([name]), *rest) for name, *rest in info["mismatched_keys"]]
    if missing and not unexpected and not shapes and all(".point_" in name for name in missing):
        raise CheckpointError(
            f"{folder}: its weights have no encoder and projector, only the LLM, as PointLLM's `init` folders; give "
            "the folder of a trained PointLLM"
        )
    chosen = f"encoder {parts.encoder}, projector {parts.projector}"
    refuse_partial(
        {"missing_keys": missing, "unexpected_keys": unexpected, "mismatched_keys": shapes},
        f"{folder}: its weights are not those of its config.json ({chosen})",
    )
