"""Base of a run: a given one must have the run's parts, and stays unchanged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from spa3d import create
from spa3d.artifacts.hashing import digest
from spa3d.artifacts.workspace import Workspace
from spa3d.errors import CheckpointError
from spa3d.model.saving import save_model
from spa3d.pipeline.base import explain_cache_miss
from spa3d.pipeline.fingerprints import run_fingerprints
from spa3d.pipeline.parts import Fingerprints
from spa3d.pipeline.run import Run

OpenSmoke = Callable[..., Run]


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory, open_smoke: OpenSmoke) -> Path:
    """A 3D LLM as `smoke` makes it, untrained."""
    folder = tmp_path_factory.mktemp("given") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPA3D_PLUGINS", "")
        save_model(*open_smoke().builder.model_and_processor(), folder)
    return folder


@pytest.mark.parametrize("part", ["model", "."])
def test_a_base_made_alike_is_loaded_from_run_or_model_folder(
    saved_model: Path, part: str, open_smoke: OpenSmoke
) -> None:
    folder = saved_model if part == "model" else saved_model.parent
    model, _ = open_smoke({"base": str(folder)}).model_and_processor
    assert not model.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder.width": 16}, r"encoder.config.width: 32 → 16"),
        ({"projector": "linear"}, r"projector.name: 'mlp' → 'linear'"),
        ({"projector.widths": [64]}, r"projector.config.widths: \[128\] → \[64\]"),
        ({"points.count": 64}, r"points.count: 128 → 64"),
    ],
)
def test_a_base_made_of_other_parts_is_refused_before_any_work(
    saved_model: Path, change: Mapping[str, Any], message: str, open_smoke: OpenSmoke
) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_smoke({"base": str(saved_model), **change})


def test_find_base_refuses_a_base_with_other_clouds(saved_model: Path, open_smoke: OpenSmoke) -> None:
    with pytest.raises(CheckpointError, match=r"points\.normalize: True → False"):
        _ = open_smoke({"base": str(saved_model), "points.normalize": False}).model_and_processor


def test_given_base_has_the_hash_of_its_files_and_is_not_changed(
    saved_model: Path, tmp_path: Path, bases: Path, open_smoke: OpenSmoke
) -> None:
    copy, other = tmp_path / "copy", tmp_path / "other"
    for folder in (copy, other):
        shutil.copytree(saved_model, folder)
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    runs = {folder: open_smoke({"base": str(folder)}) for folder in (saved_model, copy, other)}
    keys = {folder: run.base.key for folder, run in runs.items()}
    assert keys[saved_model] == keys[copy] != keys[other]
    assert runs[copy].measurement.shared_file("choice").is_relative_to(bases)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights for `smoke`'s encoder."""
    torch.manual_seed(5)
    state = create("encoder", "pointnext-tiny").state_dict()
    torch.save({"state_dict": {f"module.point_encoder.{name}": v for name, v in state.items()}}, tmp_path / "enc.pt")
    return tmp_path / "enc.pt"


def test_a_base_begins_with_the_weights_its_encoder_was_given(weights: Path, open_smoke: OpenSmoke) -> None:
    making = open_smoke({"encoder.checkpoint": str(weights)}).builder
    assert [stage.name for stage in making.stages()] == ["base: llm", "base: align", "base: instruct"]
    model, _ = making.model_and_processor()
    weights_before = torch.load(weights)["state_dict"]
    assert all(
        value.equal(weights_before[f"module.point_encoder.{name}"])
        for name, value in model.encoder.state_dict().items()
    )
    fresh, _ = open_smoke().builder.model_and_processor()
    assert not model.encoder.state_dict()["encoder.encoder.0.0.convs.0.0.weight"].equal(
        fresh.encoder.state_dict()["encoder.encoder.0.0.convs.0.0.weight"]
    )
    assert all(  # what else is random is as it was
        value.equal(dict(fresh.named_parameters())[name])
        for name, value in model.named_parameters()
        if not name.startswith("encoder.")
    )


def test_base_key_follows_the_content_of_the_weights(weights: Path, tmp_path: Path, open_smoke: OpenSmoke) -> None:
    copy, other = tmp_path / "copy.pth", tmp_path / "other.pt"
    shutil.copy(weights, copy)
    content = torch.load(weights)
    content["epoch"] = 250
    torch.save(content, other)
    keys = {path: open_smoke({"encoder.checkpoint": str(path)}).base.key for path in (weights, copy, other)}
    assert keys[weights] == keys[copy] != keys[other]
    assert open_smoke().base.key not in keys.values()


def test_weights_are_hashed_once(weights: Path, open_smoke: OpenSmoke) -> None:
    run = open_smoke({"encoder.checkpoint": str(weights)})

    def key() -> str:
        return digest(run_fingerprints(run.config, run.registry, run.parts, run.execution).base)

    first, before = key(), weights.stat()
    assert first == run.base.key
    weights.write_bytes(bytes(before.st_size))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert key() == first
    weights.touch()
    assert key() != first


def test_explain_cache_miss_compares_finished_bases_only(bases: Path, open_smoke: OpenSmoke) -> None:
    base = open_smoke().base
    folder = bases / "0123"
    (folder / "model").mkdir(parents=True)
    (folder / "base.json").write_text(json.dumps({"seed": 7}))
    assert explain_cache_miss(base, Workspace(bases)) == []
    (folder / "model" / "done.json").write_text("{}")
    assert "seed: 7 → 0" in explain_cache_miss(base, Workspace(bases))


def test_base_key_follows_the_training_records(open_smoke: OpenSmoke) -> None:
    run = open_smoke()

    def fingerprints(**left_out: Collection[str]) -> Fingerprints:
        return run_fingerprints(run.config, run.registry, run.parts, run.execution, left_out=left_out)

    every, fewer = fingerprints(), fingerprints(train={"b", "a"})
    assert every.base != fewer.base == fingerprints(train=["a", "b"]).base
    tested = fingerprints(test=("t",))
    assert tested.base == every.base
    assert tested.answers["choice"] != every.answers["choice"]


def test_keep_saves_only_trained_weights(bases: Path, open_smoke: OpenSmoke) -> None:
    run = open_smoke({"base.align.train": "encoder,projector"})
    making = run.builder
    (making.base.folder / "align").mkdir(parents=True)
    making.keep("align", run.config.base.align)
    kept = load_file(making.base.folder / "align" / "weights.safetensors")
    assert {name.partition(".")[0] for name in kept} == {"encoder", "projector"}


def test_keep_saves_an_llm_with_tied_embeddings(bases: Path, open_smoke: OpenSmoke) -> None:
    run = open_smoke()
    making = run.builder
    model, _ = making.model_and_processor()
    llm: Any = model.language_model
    llm.config.tie_word_embeddings = True
    llm.tie_weights()
    (making.base.folder / "llm").mkdir(parents=True)
    making.keep("llm", run.config.base.llm)
    kept = llm.lm_head.weight.detach().clone()
    llm.lm_head.weight.data.zero_()
    next(stage for stage in making.stages() if stage.name == "base: llm").run()
    assert (llm.lm_head.weight == kept).all()
    assert llm.lm_head.weight is llm.get_input_embeddings().weight
