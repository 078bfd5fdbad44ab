"""Encoder and projector of a PointLLM folder in the names of spa3d's components.

PointLLM keeps the shape of its encoder in a YAML file that config.json names; v1.1 had one file and named none. Weights
are not read here: `spa3d.checkpoints.pointllm` compares their shapes with these settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import yaml

from spa3d.errors import CheckpointError

MODEL_TYPE = "pointllm"
"""Entry ``model_type`` of a PointLLM's config.json."""
TWO_HIDDEN, WIDE = "PointTransformer_8192point_2layer", "PointTransformer_base_8192point"
"""PointLLM's files for the encoders of v1.2 and of v1.1."""
BACKBONES: Mapping[str, Mapping[str, Any]] = {
    TWO_HIDDEN: {
        "trans_dim": 384,
        "depth": 12,
        "num_heads": 6,
        "group_size": 32,
        "num_group": 512,
        "encoder_dims": 256,
        "projection_hidden_layer": 2,
        "projection_hidden_dim": [1024, 2048],
    },
    WIDE: {
        "trans_dim": 1152,
        "depth": 12,
        "num_heads": 12,
        "group_size": 48,
        "num_group": 512,
        "encoder_dims": 512,
    },
}
"""Block ``model`` of these files."""
PRESETS = {TWO_HIDDEN: "pointbert-pointllm", WIDE: "pointbert-pointllm-v11"}
"""The encoder presets with the same values."""
FIELDS = {
    "trans_dim": "width",
    "depth": "depth",
    "num_heads": "heads",
    "group_size": "group_size",
    "num_group": "groups",
    "encoder_dims": "group_width",
    "drop_path_rate": "drop_path",
}
"""Entries of the block, and the settings of encoder ``pointbert`` that they are."""
FIXED = {"group_hidden": 128, "drop_path": 0.1, "fps": "plain", "random_start": False}
"""Settings of encoder ``pointbert`` that are in PointLLM's code, or its defaults. It samples from a random point."""
SINGLE_LAYER = "model.point_proj.weight"
"""Name of the projector's weight if it is one layer, as in v1.1."""
POINTS = 8192
"""Points per cloud in PointLLM's training."""


@dataclass(frozen=True)
class PointLLMParts:
    """Encoder, projector and point tokens of a PointLLM folder.

    Attributes:
        encoder: name of an encoder or encoder preset.
        encoder_config: settings of encoder ``pointbert``.
        projector: ``mlp`` or ``linear``.
        projector_config: its settings.
        num_points: points per cloud.
        point_tokens: names of start, patch and end token; start and end are empty if prompts have none.

    """

    encoder: str
    encoder_config: Mapping[str, Any]
    projector: str
    projector_config: Mapping[str, Any]
    num_points: int
    point_tokens: tuple[str, str, str]


def read_parts(folder: Path, values: Mapping[str, Any]) -> PointLLMParts:
    """Read the parts of the PointLLM in `folder`; `values` are those of its config.json.

    Raises:
        CheckpointError: it has another encoder than PointBERT, one of an unknown shape, or no names of point tokens.

    """
    kind = values.get("point_backbone", "PointBERT")
    if kind != "PointBERT":
        raise CheckpointError(f"{folder}: point_backbone of its config.json is {kind!r}; only PointBERT is known")
    name, block, num_points = _backbone(folder, values)
    config = FIXED | {ours: block[theirs] for theirs, ours in FIELDS.items() if theirs in block}
    config["inputs"] = ["xyz", "rgb"] if values.get("use_color", False) else ["xyz"]
    hidden = list(block.get("projection_hidden_dim", ()))[: int(block.get("projection_hidden_layer", 0))]
    return PointLLMParts(
        PRESETS.get(name, "pointbert"),
        config,
        "mlp" if hidden else "linear",
        {"widths": hidden} if hidden else {},
        num_points,
        _point_tokens(folder, values),
    )


def _backbone(folder: Path, values: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], int]:
    """Name, block ``model`` and number of points of the encoder's YAML file."""
    name = values.get("point_backbone_config_name") or (WIDE if _has_tensor(folder, SINGLE_LAYER) else TWO_HIDDEN)
    if name in BACKBONES:
        return name, BACKBONES[name], POINTS
    file = folder / f"{name}.yaml"
    if Path(str(name)).name != str(name) or not file.is_file():
        raise CheckpointError(
            f"{folder}: point_backbone_config_name of its config.json is {name!r}, and known are {', '.join(BACKBONES)}"
            f"; copy PointLLM's file {Path(str(name)).name}.yaml into the folder"
        )
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        block = {str(key): value for key, value in content["model"].items()}
        num_points = int(content.get("npoints", POINTS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise CheckpointError(f"{file}: has no block `model` with the encoder's shape; copy PointLLM's file") from error
    if block.get("use_max_pool", False):
        raise CheckpointError(f"{file}: use_max_pool gives one token per cloud, which encoder pointbert does not have")
    return str(name), block, num_points


def _point_tokens(folder: Path, values: Mapping[str, Any]) -> tuple[str, str, str]:
    """Names of start, patch and end token."""
    names = {part: values.get(f"DEFAULT_POINT_{part}_TOKEN") for part in ("START", "PATCH", "END")}
    if not values.get("mm_use_point_start_end", False):
        names |= {"START": "", "END": ""}
    missing = [f"DEFAULT_POINT_{part}_TOKEN" for part, name in names.items() if not isinstance(name, str)]
    if missing or not names["PATCH"]:
        raise CheckpointError(
            f"{folder}: its config.json has no {', '.join(missing) or 'DEFAULT_POINT_PATCH_TOKEN'}; take that of the "
            "trained PointLLM, which names its tokens"
        )
    return str(names["START"]), str(names["PATCH"]), str(names["END"])


def _has_tensor(folder: Path, name: str) -> bool:
    """Whether the weights in `folder` have a tensor `name`; only their lists of names are read."""
    for index in sorted(folder.glob("*.index.json")):
        return f'"{name}"' in index.read_text(encoding="utf-8", errors="replace")
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            length = min(int.from_bytes(file.read(8), "little"), 10**8)
            return f'"{name}"'.encode() in file.read(length)
    for path in sorted(folder.glob("pytorch_model*.bin")):
        try:
            with ZipFile(path) as archive:
                lists = [archive.read(member) for member in archive.namelist() if member.endswith("/data.pkl")]
        except (BadZipFile, OSError, NotImplementedError):  # reported where the weights are read
            return False
        return any(name.encode() in content for content in lists)
    return False


def read_config(folder: Path) -> Mapping[str, Any]:
    """Read the config.json in `folder`; empty if there is none that can be read."""
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, Mapping) else {}
