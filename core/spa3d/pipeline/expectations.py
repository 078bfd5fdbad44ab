"""What a saved model or an encoder expects of clouds, without loading weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spa3d.artifacts.model_folder import find_model_folder
from spa3d.checkpoints.load import describe
from spa3d.contracts.encoder import Encoder
from spa3d.data.doctor.expectation import Expectation, TrainingClouds
from spa3d.data.preparation import Preparation
from spa3d.errors import RegistryError, SpaError
from spa3d.inference.cloud_encoder import read_preparation
from spa3d.model.parts import create_part, describe_part
from spa3d.registry.registry import Registry


def find_expectation(name: str, registry: Registry) -> Expectation:
    """Find what a model or an encoder expects.

    Args:
        name: the folder of a run or of a model, or the name of an encoder or of its preset.
        registry: source of encoders.

    Raises:
        SpaError: it is neither.

    """
    if Path(name).exists() or "/" in name:
        return _describe_model(find_model_folder(name), name, registry)
    try:
        resolved = registry.resolve("encoder", name)
    except RegistryError as error:
        raise SpaError(f"--for {name}: no folder of a model, and {error}") from error
    encoder: Encoder = create_part(registry, "encoder", describe_part(registry, "encoder", name, {}))
    preset = registry.manifest.presets.of_kind("encoder").get(name)
    points: Any = preset.points if preset else {}
    return Expectation(name, resolved.component.name, Preparation(**points), tuple(encoder.inputs), encoder.min_points)


def _describe_model(folder: Path, name: str, registry: Registry) -> Expectation:
    config = describe(folder, registry)
    encoder: Encoder = create_part(registry, "encoder", config.encoder)
    return Expectation(
        name,
        config.encoder["name"],
        read_preparation(folder, config.num_points),
        tuple(encoder.inputs),
        encoder.min_points,
        config.up_axis,
        _read_training(folder),
    )


def _read_training(folder: Path) -> TrainingClouds | None:
    """Figures of the training clouds from the passport beside a model; None if there are none."""
    for file in (folder / "passport.json", folder.parent / "passport.json"):
        try:
            return TrainingClouds.from_json(json.loads(file.read_text(encoding="utf-8"))["clouds"]["training"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return None
