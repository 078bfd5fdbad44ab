"""An encoder alone gives the tokens that the whole model sees."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import spa3d
from spa3d.data.preparation import Preparation
from spa3d.errors import CheckpointError


def test_load_encoder_gives_the_tokens_of_the_whole_model(
    model_folder: Path, cloud_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = spa3d.load(model_folder)
    files = [cloud_files / f"{number}.npy" for number in range(4)]
    expected = model.encode(torch.cat([processor("x", np.load(file))["points"] for file in files]))
    monkeypatch.setattr("spa3d.model.modeling.AutoModelForCausalLM", None)  # no LLM is made
    encoder = spa3d.load_encoder(model_folder)
    for one, all_at_once, right in zip(
        (encoder.encode([file])[0] for file in files), encoder.encode(files), expected.detach(), strict=True
    ):
        torch.testing.assert_close(one, right)
        torch.testing.assert_close(all_at_once, right)
    features = encoder.pool(files)
    assert [tuple(feature.shape) for feature in features] == [(128,)] * 4
    assert not torch.equal(features[0], features[1])


def test_load_encoder_of_a_pointllm(tmp_path: Path, cloud_files: Path, make_pointllm: Any) -> None:
    make_pointllm(tmp_path, "tiny")
    model, processor = spa3d.load(tmp_path)
    expected = model.encode(processor("x", np.load(cloud_files / "0.npy"))["points"])[0]
    torch.testing.assert_close(spa3d.load_encoder(tmp_path).encode([cloud_files / "0.npy"])[0], expected.detach())


def test_cloud_encoder_of_a_component_with_weights(tmp_path: Path, cloud_files: Path) -> None:
    torch.manual_seed(5)
    trained = spa3d.create("encoder", "pointnext-tiny")
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    encoder = spa3d.create("encoder", "pointnext-tiny")
    spa3d.load_weights(encoder, tmp_path / "weights.pt")
    files = [cloud_files / "0.npy", np.load(cloud_files / "1.npy")[:100]]
    tokens = spa3d.CloudEncoder(encoder).encode(files)
    assert [len(each) for each in tokens] == [encoder.num_tokens(150), encoder.num_tokens(100)]  # every point counts
    torch.testing.assert_close(tokens[0], spa3d.CloudEncoder(trained).encode(files)[0])
    few = spa3d.CloudEncoder(encoder, Preparation(count=64)).encode(files)
    assert [len(each) for each in few] == [encoder.num_tokens(64)] * 2


def test_load_encoder_refuses_a_broken_preparation(model_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(model_folder / "model", tmp_path / "model")
    file = tmp_path / "model" / "processor_config.json"
    for broken in ("{", "{}", '{"points": {"counts": 3}}', '{"points": 3}'):
        file.write_text(broken)
        with pytest.raises(CheckpointError, match=r"processor_config\.json: does not say how clouds are prepared"):
            spa3d.load_encoder(tmp_path)
    file.unlink()
    assert spa3d.load_encoder(tmp_path).preparation == Preparation(count=128)
