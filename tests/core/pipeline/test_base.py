"""Which base a run starts from: a given one must be made as the run is, and is left as it was found."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from spa3d import create
from spa3d.config.resolve import resolve
from spa3d.config.stages import stages_of
from spa3d.errors import CheckpointError
from spa3d.model.saving import save_model
from spa3d.pipeline.assemble import assemble
from spa3d.pipeline.base import answers_file, load_base, locate, nearest_difference
from spa3d.pipeline.build_base import BaseBuilder
from spa3d.pipeline.parts import Assembly
from spa3d.registry.registry import load_registry
from spa3d.runtime.progress import Silent

SMOKE = {"preset": "smoke", "device": "cpu"}


@pytest.fixture(autouse=True)
def bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)
    return tmp_path / "bases"


def build(settings: Mapping[str, Any] | None = None) -> Assembly:
    return assemble(resolve(SMOKE, settings or {}), load_registry())


def builder(settings: Mapping[str, Any] | None = None) -> BaseBuilder:
    assembly = build(settings)
    return BaseBuilder(assembly, locate(assembly), assembly.dataset.records("train"), Silent())


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 3D LLM as `smoke` makes it, untrained."""
    folder = tmp_path_factory.mktemp("given") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPA3D_PLUGINS", "")
        save_model(*builder()._fresh(), folder)
    return folder


@pytest.mark.parametrize("place", ["model", "."])
def test_a_base_made_alike_is_loaded_from_run_or_model_folder(saved: Path, place: str) -> None:
    folder = saved if place == "model" else saved.parent
    assembly = build({"base": str(folder)})
    model, _ = load_base(locate(assembly).model_folder, assembly)
    assert not model.training


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoder.width": 16}, r"encoder.config.width: 32 → 16"),
        ({"projector": "linear"}, r"projector.name: 'mlp' → 'linear'"),
        ({"projector.widths": [64]}, r"projector.config.widths: \[128\] → \[64\]"),
        ({"points.count": 64}, r"points.count: 128 → 64"),
    ],
)
def test_a_base_made_of_other_parts_is_refused_before_any_work(
    saved: Path, change: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        locate(build({"base": str(saved), **change}))


def test_a_base_used_to_other_clouds_is_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match=r"points\.normalise: True → False"):
        load_base(saved, build({"base": str(saved), "points.normalise": False}))


def test_a_given_base_is_known_by_its_contents_and_left_alone(saved: Path, tmp_path: Path, bases: Path) -> None:
    copy, other = tmp_path / "copy", tmp_path / "other"
    for folder in (copy, other):
        shutil.copytree(saved, folder)
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    assemblies = {folder: build({"base": str(folder)}) for folder in (saved, copy, other)}
    keys = {folder: locate(assembly).key for folder, assembly in assemblies.items()}
    assert keys[saved] == keys[copy] != keys[other]
    assert answers_file(locate(assemblies[copy]), assemblies[copy], "choice").is_relative_to(bases)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights for `smoke`'s encoder."""
    torch.manual_seed(5)
    state = create("encoder", "pointnext-tiny").state_dict()
    torch.save({"state_dict": {f"module.point_encoder.{name}": v for name, v in state.items()}}, tmp_path / "enc.pt")
    return tmp_path / "enc.pt"


def test_a_base_begins_with_the_weights_its_encoder_was_given(weights: Path) -> None:
    making = builder({"encoder.checkpoint": str(weights)})
    assert stages_of(making.config) == ["llm", "align", "instruct"]
    model, _ = making._fresh()
    given = torch.load(weights)["state_dict"]
    assert all(value.equal(given[f"module.point_encoder.{name}"]) for name, value in model.encoder.state_dict().items())
    fresh, _ = builder()._fresh()
    assert not model.encoder.state_dict()["encoder.encoder.0.0.convs.0.0.weight"].equal(
        fresh.encoder.state_dict()["encoder.encoder.0.0.convs.0.0.weight"]
    )
    assert all(  # what else is random is as it was
        value.equal(dict(fresh.named_parameters())[name])
        for name, value in model.named_parameters()
        if not name.startswith("encoder.")
    )


def test_a_base_is_known_by_the_content_of_the_weights(weights: Path, tmp_path: Path) -> None:
    copy, other = tmp_path / "copy.pth", tmp_path / "other.pt"
    shutil.copy(weights, copy)
    held = torch.load(weights)
    held["epoch"] = 250
    torch.save(held, other)
    keys = {path: locate(build({"encoder.checkpoint": str(path)})).key for path in (weights, copy, other)}
    assert keys[weights] == keys[copy] != keys[other]
    assert locate(build()).key not in keys.values()


def test_weights_are_hashed_once(weights: Path) -> None:
    assembly = build({"encoder.checkpoint": str(weights)})
    key, before = locate(assembly).key, weights.stat()
    weights.write_bytes(bytes(before.st_size))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert locate(assembly).key == key
    weights.touch()
    assert locate(assembly).key != key


def test_only_a_finished_base_is_the_nearest(bases: Path) -> None:
    base = locate(build())
    folder = bases / "0123"
    (folder / "model").mkdir(parents=True)
    (folder / "base.json").write_text(json.dumps({"seed": 7}))
    assert nearest_difference(base) == []
    (folder / "model" / "done.json").write_text("{}")
    assert "seed: 7 → 0" in nearest_difference(base)


def test_another_base_comes_of_other_training_records(bases: Path) -> None:
    assembly = build()
    every, fewer = locate(assembly), locate(assembly, left_out={"b", "a"})
    assert every.key != fewer.key == locate(assembly, left_out=["a", "b"]).key
    answers = {answers_file(every, assembly, "choice", left_out=left) for left in ((), ("t",))}
    assert len(answers) == 2


def test_a_stage_keeps_what_it_trained_and_nothing_else(bases: Path) -> None:
    making = builder({"base.align.train": "encoder,projector"})
    model, _ = making._fresh()
    (making.base.folder / "align").mkdir(parents=True)
    making._keep("align", model)
    kept = load_file(making.base.folder / "align" / "weights.safetensors")
    assert {name.partition(".")[0] for name in kept} == {"encoder", "projector"}


def test_a_stage_of_an_llm_with_tied_embeddings_is_kept(bases: Path) -> None:
    making = builder()
    model, _ = making._fresh()
    llm: Any = model.language_model
    llm.config.tie_word_embeddings = True
    llm.tie_weights()
    (making.base.folder / "llm").mkdir(parents=True)
    making._keep("llm", model)
    kept = llm.lm_head.weight.detach().clone()
    llm.lm_head.weight.data.zero_()
    making._make("llm", model, None)  # type: ignore[arg-type]  # a stage that is there needs no processor
    assert (llm.lm_head.weight == kept).all()
    assert llm.lm_head.weight is llm.get_input_embeddings().weight
