"""Plan of a run: its stages and parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from spa3d import create
from spa3d.config.resolve import resolve
from spa3d.model.adapters import attach
from spa3d.model.saving import save_model
from spa3d.pipeline.plan import plan
from spa3d.pipeline.run import Run
from spa3d.registry.registry import load_registry

SMOKE = {"preset": "smoke", "device": "cpu"}
OpenSmoke = Callable[..., Run]


def test_plan_writes_nothing(tmp_path: Path) -> None:
    config = resolve(SMOKE)
    planned = plan(config, load_registry())
    assert [stage.name for stage in planned.stages if not stage.done] == [
        *(f"base: {name}" for name in ("encoder", "llm", "align", "instruct")),
        *("evaluate before", "post-train", "evaluate after", "report"),
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("objective", "detail"), [("spa", "3 steps of spa on mask"), ("sft", "3 steps of sft")])
def test_plan_names_the_noise_if_it_is_used(objective: str, detail: str) -> None:
    config = resolve({**SMOKE, "objective": objective})
    assert detail in [stage.detail for stage in plan(config, load_registry()).stages]


def test_without_an_encoder_to_pretrain_there_is_no_stage_for_it(tmp_path: Path) -> None:
    path = tmp_path / "encoder.pt"
    state = create("encoder", "pointnext-tiny").state_dict()
    torch.save(state, path)
    config = resolve({**SMOKE, "encoder.checkpoint": str(path)})
    planned = plan(config, load_registry())
    assert [stage.name for stage in planned.stages][:3] == ["base: llm", "base: align", "base: instruct"]
    assert planned.parts[0].trains_in == ()
    assert planned.weights == f"encoder weights: {path} (bare layout, {len(state)} tensors)"


def test_plan_names_published_weights_that_are_not_loaded() -> None:
    config = resolve({**SMOKE, "encoder": "pointnext-ulip"})
    planned = plan(config, load_registry())
    assert planned.stages[0].name == "base: encoder"
    assert planned.weights == (
        "encoder pointnext-ulip starts from fresh weights: the published weights of pointnext-ulip are "
        "checkpoint_pointnext.pt or ULIP_2-pointnext_objaverse.pt, from https://huggingface.co/datasets/SFXX/ulip; "
        "--encoder.checkpoint FILE reads them"
    )
    config = resolve(SMOKE)
    assert plan(config, load_registry()).weights == ""


def test_plan_has_the_llm_of_a_given_base(tmp_path: Path, open_smoke: OpenSmoke) -> None:
    model, processor = open_smoke({"llm.hidden_size": 48}).builder.model_and_processor()
    save_model(model, processor, tmp_path / "model")
    config = resolve({**SMOKE, "base": str(tmp_path / "model")})
    parts = {part.name: part for part in plan(config, load_registry()).parts}
    for name, module in (
        ("encoder", model.encoder),
        ("projector", model.projector),
        ("llm", model.language_model),
    ):
        assert parts[name].parameters == sum(parameter.numel() for parameter in module.parameters())
    assert (parts["llm"].what, parts["llm"].trains_in) == ("of the base", ("post-train",))


def test_adapters_are_planned_as_they_will_be(tmp_path: Path, open_smoke: OpenSmoke) -> None:
    config = resolve({**SMOKE, "train.lora.rank": 3})
    parts = {part.name: part for part in plan(config, load_registry()).parts}
    assert (parts["adapters"].what, parts["adapters"].trains_in) == ("in the llm, of rank 3", ("post-train",))
    assert parts["llm"].trains_in == ("base: llm", "base: instruct")
    assert "post-train" in parts["projector"].trains_in
    model, _ = open_smoke({"train.lora.rank": 3}).builder.model_and_processor()
    attach(model, ("llm",), config.train.lora, seed=0)
    trains = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert parts["adapters"].parameters == trains


STAGE_1 = {"epochs": 3, "batch_size": 128, "learning_rate": 2e-3, "schedule": "cosine", "warmup": 0.03}
STAGE_2 = {"epochs": 3, "batch_size": 32, "learning_rate": 2e-5, "schedule": "cosine", "warmup": 0.03}
PROJECTOR = {"epochs": 1, "batch_size": 24, "learning_rate": 2e-3, "schedule": "constant_with_warmup", "warmup": 0.0}
ADAPTERS = {"epochs": 1, "batch_size": 32, "learning_rate": 5e-6, "schedule": "cosine", "warmup": 0.03}


@pytest.mark.parametrize(
    ("preset", "objective", "train", "trained", "stages"),
    [
        ("pointllm-stage1", "sft", STAGE_1, ("projector", "embeddings"), []),
        ("pointllm-stage2", "sft", STAGE_2, ("projector", "llm"), ["align"]),
        ("projector-only", "sft", PROJECTOR, ("projector",), []),
        ("spa-posttrain", "spa", ADAPTERS, ("projector", "llm"), ["align", "instruct"]),
    ],
)
def test_plan_of_the_recipes_of_papers(
    preset: str, objective: str, train: dict[str, Any], trained: tuple[str, ...], stages: list[str]
) -> None:
    registry = load_registry()
    settings = {"preset": preset, "device": "cpu", "objective": objective}
    config = resolve({**settings, "encoder": "pointnext-tiny", "dataset": "shapes-smoke"}, registry=registry)
    assert train == config.train.model_dump(include={*train})
    assert (config.train.train, config.train.beta2, config.train.weight_decay) == (trained, 0.999, 0)
    assert registry.manifest.presets.run[preset].source
    names = [stage.name for stage in plan(config, registry).stages]
    assert names == [
        *(f"base: {name}" for name in ("encoder", "llm", *stages)),
        *("evaluate before", "post-train", "evaluate after", "report"),
    ]
    assert resolve({**settings, "encoder": "pointbert"}).encoder.preset == "pointbert-pointllm"


def test_the_stages_of_pointllm_are_one_recipe() -> None:
    """Stage 2 without a base makes one with stage 1, and SPA without a base one with both."""
    first, second, last = (
        resolve({"preset": name, "objective": "sft"})
        for name in ("pointllm-stage1", "pointllm-stage2", "spa-posttrain")
    )
    compared = {"epochs", "batch_size", "learning_rate", "schedule", "warmup", "beta2", "train"}
    assert first.train.model_dump(include=compared) == second.base.align.model_dump(include=compared)
    assert second.base.align == last.base.align
    assert second.train.model_dump(include=compared) == last.base.instruct.model_dump(include=compared)
    assert first.llm == second.llm == last.llm
