"""PointLLM's two encoders are found by name, or by the layers of the projector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from spa3d import create
from spa3d.config.pointllm_parts import BACKBONES, PRESETS, SINGLE_LAYER, TWO_HIDDEN, WIDE, read_parts

VALUES = {
    "use_color": True,
    "mm_use_point_start_end": True,
    **{f"DEFAULT_POINT_{part}_TOKEN": f"<{part}>" for part in ("START", "PATCH", "END")},
}


@pytest.mark.parametrize("name", BACKBONES)
def test_the_encoders_are_those_of_the_presets(tmp_path: Path, name: str) -> None:
    parts = read_parts(tmp_path, {**VALUES, "point_backbone_config_name": name})
    with torch.device("meta"):
        expected = create("encoder", PRESETS[name]).config
        assert create("encoder", "pointbert", **parts.encoder_config).config == expected
    assert parts.encoder == PRESETS[name]
    assert (parts.projector, dict(parts.projector_config)) == (
        ("mlp", {"widths": [1024, 2048]}) if name == TWO_HIDDEN else ("linear", {})
    )


@pytest.mark.parametrize("layout", ["index", "safetensors", "bin", "torn"])
@pytest.mark.parametrize("weight", [SINGLE_LAYER, "model.point_proj.0.weight"])
def test_v11_is_recognized_by_its_projector(tmp_path: Path, layout: str, weight: str) -> None:
    state = {weight: torch.zeros(2)}
    if layout == "index":
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {weight: "a"}}))
    elif layout == "safetensors":
        save_file(state, tmp_path / "model.safetensors")
    elif layout == "bin":
        torch.save(state, tmp_path / "pytorch_model.bin")
    else:
        (tmp_path / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    wide = weight == SINGLE_LAYER and layout != "torn"
    assert read_parts(tmp_path, VALUES).encoder == PRESETS[WIDE if wide else TWO_HIDDEN]


@pytest.mark.parametrize(
    ("values", "tokens", "inputs"),
    [
        ({}, ("<START>", "<PATCH>", "<END>"), ["xyz", "rgb"]),
        ({"mm_use_point_start_end": False, "use_color": False}, ("", "<PATCH>", ""), ["xyz"]),
    ],
)
def test_tokens_and_channels_are_those_of_the_config(
    tmp_path: Path, values: dict[str, Any], tokens: tuple[str, ...], inputs: list[str]
) -> None:
    parts = read_parts(tmp_path, {**VALUES, **values})
    assert (parts.point_tokens, parts.encoder_config["inputs"]) == (tokens, inputs)
