"""Plan of a run: its stages and parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
