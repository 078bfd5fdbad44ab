"""Reads a saved 3D LLM: its configuration, or the whole model with its processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
from spa3d.registry.registry import load_registry

HINT = "give the model/ folder of a finished run"


def load(
    folder: str | Path, *, plugins: Sequence[str] = (), registry: str | Path | None = None
) -> tuple[Spa3dModel, Spa3dProcessor]:
    """Load the post-trained 3D LLM of a run and its processor, in eval mode on the CPU.

    Args:
        folder: the folder of the run, or its ``model/`` folder.
        plugins: unpackaged plugins (a file or a module each) that the model's parts come from. Only plugins listed
            here are loaded, never those that a model names: a downloaded model must not run code.
        registry: the file of ``--registry`` that the model's parts come from. A file that a model names is not read.

    Raises:
        CheckpointError: the folder holds no finished model, or a plugin that it needs is missing.

    """
    requested = Path(folder)
    model_folder = next((path for path in (requested / "model", requested) if (path / "config.json").exists()), None)
    if model_folder is None:
        raise CheckpointError(
            f"{requested}: no 3D LLM there (neither {requested / 'model' / 'config.json'} nor "
            f"{requested / 'config.json'} exists); give the folder of a finished run"
        )
    config, components = describe(model_folder), load_registry(added=registry, plugins=plugins)
    encoder = create_part(components, "encoder", config.encoder)
    widths = {"dim": encoder.dim, "hidden": embedding_width(config.text_config)}
    return read(model_folder, config, encoder, create_part(components, "projector", config.projector, **widths))


def describe(folder: Path) -> Spa3dConfig:
    """Read the configuration of the 3D LLM in `folder`; `CheckpointError` if there is none."""
    problem = "its config.json is not that of a 3D LLM"
    with foreign_folder(folder, weights=False, where=str(folder), problem=problem, hint=HINT):
        values, _ = Spa3dConfig.get_config_dict(folder)
        kind = values.get("model_type")
        config: Spa3dConfig = Spa3dConfig.from_dict(values)
        embedding_width(config.text_config)  # builds the LLM without memory, which shows broken values
        named = all({"name", "config"} <= set(part) for part in (config.encoder, config.projector))
    if kind != Spa3dConfig.model_type or not named:
        raise CheckpointError(f"{folder}: holds a model of type {kind!r} and no 3D LLM; {HINT}")
    return config


def read(
    folder: Path, config: Spa3dConfig, encoder: Encoder, projector: Projector
) -> tuple[Spa3dModel, Spa3dProcessor]:
    """Load the model in `folder`, in eval mode; `CheckpointError` if it is incomplete."""
    parts: Any = {"config": config, "encoder": encoder, "projector": projector}
    problem = "the 3D LLM there cannot be read"
    with foreign_folder(folder, weights=True, where=str(folder), problem=problem, hint="copy it again"):
        loaded: Any = Spa3dModel.from_pretrained(folder, **parts, **SAFELY, **CHECKED)
        processor = Spa3dProcessor.from_pretrained(folder, **SAFELY)
    model, info = loaded
    refuse_partial(info, f"{folder}: its weights do not fit its parts")
    ids = processor.tokenizer.convert_tokens_to_ids(processor.point_tokens)
    if ids != config.point_ids:
        raise CheckpointError(
            f"{folder}: point_ids of its config.json are {config.point_ids}, and its tokenizer has {ids} for "
            f"{', '.join(processor.point_tokens)}; copy it again"
        )
    refuse_not_finite(model, str(folder))
    return model.eval(), processor
