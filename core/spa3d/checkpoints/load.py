"""A saved 3D LLM: what it says of itself, and the whole of it, ready to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from spa3d.contracts.encoder import Encoder
from spa3d.contracts.projector import Projector
from spa3d.errors import CheckpointError
from spa3d.model import auto_classes as auto_classes
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.modeling import Spa3dModel
from spa3d.model.parts import create_part
from spa3d.model.processing import Spa3dProcessor
from spa3d.registry.registry import load_registry

HINT = "give the model/ folder of a finished run"


def load(
    folder: str | Path, *, plugins: Sequence[str] = (), registry: str | Path | None = None
) -> tuple[Spa3dModel, Spa3dProcessor]:
    """The post-trained 3D LLM of a run (or of its ``model/`` folder) and its processor, in eval mode on the CPU.

    Args:
        folder: of the run or of the model.
        plugins: unpackaged plugins (a file or a module each) that the model's parts come from. They are never loaded
            because a model asks for them, since that would let a downloaded model run code.
        registry: the file of ``--registry`` that the model's parts come from; it is never read for a model, either.

    Raises:
        CheckpointError: no finished model is there, or a plugin that it needs is not.

    """
    asked = Path(folder)
    found = next((path for path in (asked / "model", asked) if (path / "config.json").exists()), None)
    if found is None:
        raise CheckpointError(
            f"{asked}: no 3D LLM there (neither {asked / 'model' / 'config.json'} nor {asked / 'config.json'} exists); "
            f"give the folder of a finished run"
        )
    config, known = describe(found), load_registry(added=registry, plugins=plugins)
    encoder = create_part(known, "encoder", config.encoder)
    widths = {"dim": encoder.dim, "hidden": config.text_config.hidden_size}
    return read(found, config, encoder, create_part(known, "projector", config.projector, **widths))


def describe(folder: Path) -> Spa3dConfig:
    """What the 3D LLM in `folder` says of itself; raises `CheckpointError` where that is nothing."""
    try:
        values, _ = Spa3dConfig.get_config_dict(folder)
        kind = values.get("model_type")
        config: Spa3dConfig = Spa3dConfig.from_dict(values)
        named = all({"name", "config"} <= set(part) for part in (config.encoder, config.projector))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{folder}: its config.json is not that of a 3D LLM ({error}); {HINT}") from error
    if kind != Spa3dConfig.model_type or not named:
        raise CheckpointError(f"{folder}: holds a model of type {kind!r} and no 3D LLM; {HINT}")
    return config


def read(
    folder: Path, config: Spa3dConfig, encoder: Encoder, projector: Projector
) -> tuple[Spa3dModel, Spa3dProcessor]:
    """The model in `folder`, its parts built already, in eval mode; raises `CheckpointError` where it is not whole."""
    parts: Any = {"config": config, "encoder": encoder, "projector": projector}
    try:
        loaded: Any = Spa3dModel.from_pretrained(folder, **parts, output_loading_info=True)
        processor = Spa3dProcessor.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}: the 3D LLM there cannot be read ({_first_line(error)}); copy it again"
        ) from error
    model, told = loaded
    astray = sorted({*map(str, told["missing_keys"]), *map(str, told["unexpected_keys"])})
    if astray:
        shown = ", ".join(astray[:3])
        raise CheckpointError(f"{folder}: its weights do not fit its parts: {len(astray)} differ, such as {shown}")
    return model.eval(), processor


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
