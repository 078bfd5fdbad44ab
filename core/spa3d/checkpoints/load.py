"""Reads a saved 3D LLM: its configuration, or the whole model with its processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import GenerationConfig
from transformers.utils import GENERATION_CONFIG_NAME

from spa3d.artifacts.model_folder import find_model_folder
from spa3d.checkpoints.pointllm import describe_pointllm, read_pointllm, read_pointllm_tokenizer
from spa3d.config.pointllm_parts import MODEL_TYPE, read_config, read_parts
from spa3d.contracts.encoder import Encoder
from spa3d.contracts.projector import Projector
from spa3d.errors import CheckpointError
from spa3d.model import auto_classes as auto_classes
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.finite import refuse_not_finite
from spa3d.model.foreign_folders import SAFELY, foreign_folder, refuse_partial
from spa3d.model.llm import CHECKED, embedding_width
from spa3d.model.modeling import Spa3dModel
from spa3d.model.parts import create_part
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.special_tokens import special_tokens_of
from spa3d.model.trained_parts import find_batch_statistics
from spa3d.registry.registry import Registry, load_registry

HINT = "give the model/ folder of a finished run, or a PointLLM folder"


def load(
    folder: str | Path, *, plugins: Sequence[str] = (), registry: str | Path | None = None
) -> tuple[Spa3dModel, Spa3dProcessor]:
    """Load the 3D LLM of a run, or a PointLLM, and its processor, in eval mode on the CPU.

    Args:
        folder: the folder of the run, its ``model/`` folder, or a PointLLM v1.1 or v1.2 in the Hugging Face layout.
        plugins: unpackaged plugins (a file or a module each) that the model's parts come from. Only plugins listed
            here are loaded, never those that a model names: a downloaded model must not run code.
        registry: the file of ``--registry`` that the model's parts come from. A file that a model names is not read.

    Raises:
        CheckpointError: the folder holds no finished model, or a plugin that it needs is missing.

    """
    model_folder = find_model_folder(folder)
    components = load_registry(added=registry, plugins=plugins)
    config = describe(model_folder, components)
    encoder = create_part(components, "encoder", config.encoder)
    widths = {"dim": encoder.dim, "hidden": embedding_width(config.text_config)}
    return read(model_folder, config, encoder, create_part(components, "projector", config.projector, **widths))


def describe(folder: Path, registry: Registry | None = None) -> Spa3dConfig:
    """Read the configuration of the 3D LLM in `folder`; `CheckpointError` if there is none.

    `registry` is the source of a PointLLM's encoder and projector; None: shipped and installed components.
    """
    problem = "its config.json is not that of a 3D LLM"
    with foreign_folder(folder, weights=False, where=str(folder), problem=problem, hint=HINT):
        values, _ = Spa3dConfig.get_config_dict(folder)
        if "auto_map" in values:
            raise CheckpointError(
                f"{folder}: its config.json names code of its own (auto_map), and none of it was run; delete that entry"
            )
        if values.get("model_type") == MODEL_TYPE:
            pointllm = describe_pointllm(folder, values, registry or load_registry())
            embedding_width(pointllm.text_config)
            return pointllm
        kind = values.get("model_type")
        config: Spa3dConfig = Spa3dConfig.from_dict(values)
        embedding_width(config.text_config)  # builds the LLM without memory, which shows broken values
        named = all({"name", "config"} <= set(part) for part in (config.encoder, config.projector))
    if kind != Spa3dConfig.model_type or not named:
        raise CheckpointError(f"{folder}: holds a model of type {kind!r} and no 3D LLM; {HINT}")
    if config.up_axis not in ("x", "y", "z"):
        raise CheckpointError(f"{folder}: up_axis of its config.json is {config.up_axis!r}; possible are x, y and z")
    return config


def read_special_tokens(folder: Path) -> set[str]:
    """Read the special tokens of the 3D LLM in `folder`, which no text of its data may contain.

    Raises:
        CheckpointError: there is no 3D LLM, or its tokenizer is broken.

    """
    describe(folder)
    problem = "the processor of the 3D LLM there cannot be read"
    with foreign_folder(folder, weights=False, where=str(folder), problem=problem, hint="copy it again"):
        values = read_config(folder)
        if values.get("model_type") != MODEL_TYPE:
            return Spa3dProcessor.from_pretrained(folder, **SAFELY).special_tokens
        names = read_parts(folder, values).point_tokens
        return special_tokens_of(read_pointllm_tokenizer(folder, names))


def read(
    folder: Path, config: Spa3dConfig, encoder: Encoder, projector: Projector
) -> tuple[Spa3dModel, Spa3dProcessor]:
    """Load the model in `folder`, in eval mode; `CheckpointError` if it is incomplete."""
    parts: Any = {"config": config, "encoder": encoder, "projector": projector}
    # Without a generation config of its own, transformers looks for one with these parts as its settings.
    parts["generation_config"] = GenerationConfig.from_model_config(config)
    problem = "the 3D LLM there cannot be read"
    with foreign_folder(folder, weights=True, where=str(folder), problem=problem, hint="copy it again"):
        values = read_config(folder)
        if values.get("model_type") == MODEL_TYPE:
            model, processor = read_pointllm(folder, values, parts)
        else:
            model, processor = _read_own(folder, parts)
    _restore_counts(model)
    ids = processor.point_ids
    if ids != config.point_ids:
        raise CheckpointError(
            f"{folder}: point_ids of its config.json are {config.point_ids}, and its tokenizer has {ids} for "
            f"{', '.join(processor.point_tokens)}; copy it again"
        )
    refuse_not_finite(model, str(folder))
    return model.eval(), processor


def _read_own(folder: Path, parts: dict[str, Any]) -> tuple[Spa3dModel, Spa3dProcessor]:
    """Read a model that spa3d saved."""
    if (folder / GENERATION_CONFIG_NAME).is_file():
        parts["generation_config"] = GenerationConfig.from_pretrained(folder, local_files_only=True)
    loaded: Any = Spa3dModel.from_pretrained(folder, **parts, **SAFELY, **CHECKED)
    processor = Spa3dProcessor.from_pretrained(folder, **SAFELY)
    model, info = loaded
    refuse_partial(info, f"{folder}: its weights do not fit its parts")
    return model, processor


def _restore_counts(model: Spa3dModel) -> None:
    """Make the batch counts of normalizations integers, which transformers loads as floats."""
    for module in find_batch_statistics(model):
        count = getattr(module, "num_batches_tracked", None)
        if isinstance(count, Tensor):
            module.num_batches_tracked = count.long()
