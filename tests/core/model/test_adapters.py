"""Adapters: the base never changes; merged and saved adapters give the same outputs."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn

from spa3d.config.settings import LoRASettings
from spa3d.errors import ConfigError
from spa3d.model import adapters
from spa3d.training.trainer import part_of

BOTH = ("projector", "llm")
SETTINGS = LoRASettings(rank=4, alpha=8.0)


@pytest.fixture
def world(toy: Callable[..., Any]) -> tuple[Any, dict[str, Tensor]]:
    """The toy model and a batch: a question with its cloud, and its labels."""
    model, processor, clouds = toy()
    tokens = processor.tokenize(clouds.dataset.record("train-0").conversations[0], cloud=True)
    points = torch.from_numpy(clouds.get(["train-0"]))
    return model, {"input_ids": torch.tensor([tokens.ids]), "labels": torch.tensor([tokens.labels]), "points": points}


def logits(model: Any, batch: dict[str, Tensor]) -> Tensor:
    training = model.training
    model.eval()
    with torch.no_grad():
        result: Tensor = model(input_ids=batch["input_ids"], points=batch["points"]).logits
    model.train(training)
    return result


def train(model: Any, batch: dict[str, Tensor], steps: int = 3) -> None:
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("parts", [("llm",), BOTH])
def test_before_the_first_step_the_model_is_the_base_exactly(world: Any, parts: tuple[str, ...]) -> None:
    model, batch = world
    before = logits(model, batch)
    adapters.attach(model, parts, SETTINGS, seed=0)
    assert torch.equal(logits(model, batch), before)


def test_the_base_stands_still_in_eval_mode_and_only_adapters_and_projector_move(world: Any) -> None:
    model, batch = world
    before = state(model)
    adapters.attach(model, BOTH, LoRASettings(rank=4, dropout=0.5), seed=0)
    train(model, batch)
    llm = {name: module for name, module in model.language_model.named_modules() if "lora_" not in name}
    assert not any(module.training for module in llm.values())
    assert not any(module.training for module in model.encoder.modules())
    assert all(module.training for name, module in model.named_modules() if "lora_dropout" in name)
    assert model.projector.modules_to_save.training
    after = {name.replace(".base_layer", "").replace(".original_module", ""): v for name, v in state(model).items()}
    assert all(torch.equal(after[name], value) for name, value in before.items())
    moved = [name for name, value in model.named_parameters() if value.requires_grad]
    assert {part_of(name) for name in moved} == set(BOTH)
    assert all("lora_" in name or name.startswith("projector.modules_to_save.") for name in moved)
    assert all(bool(value.abs().sum() > 0) for name, value in model.named_parameters() if "lora_B" in name)


def test_without_its_adapters_a_trained_model_is_the_base_and_comes_back(world: Any) -> None:
    model, batch = world
    base = logits(model, batch)
    adapters.attach(model, BOTH, SETTINGS, seed=0)
    train(model, batch)
    trained, trains = logits(model, batch), [p.requires_grad for p in model.parameters()]
    assert not torch.allclose(trained, base, atol=1e-3)
    with adapters.adapters_off(model):
        assert not any(module.training for module in model.modules())
        with torch.no_grad():
            assert torch.equal(model(input_ids=batch["input_ids"], points=batch["points"]).logits, base)
    assert model.training
    assert [p.requires_grad for p in model.parameters()] == trains
    assert torch.equal(logits(model, batch), trained)


def test_adapters_off_restores_adapters_after_an_error(world: Any) -> None:
    model, batch = world
    adapters.attach(model, BOTH, SETTINGS, seed=0)
    train(model, batch)
    trained = logits(model, batch)
    with pytest.raises(KeyError), adapters.adapters_off(model):
        raise KeyError
    assert torch.equal(logits(model, batch), trained)


def test_switching_adapters_off_between_forward_and_backward_changes_no_gradient(world: Any) -> None:
    model, batch = world
    adapters.attach(model, BOTH, SETTINGS, seed=0)
    train(model, batch)
    result = []
    for between in (False, True):
        model.zero_grad()
        loss = model(**batch).loss
        if between:
            with adapters.adapters_off(model), torch.no_grad():
                model(**batch)
        loss.backward()
        result.append([p.grad.clone() for p in model.parameters() if p.requires_grad])
    assert all(torch.equal(one, other) for one, other in zip(*result, strict=True))


def test_merge_keeps_the_outputs_and_removes_peft(world: Any) -> None:
    model, batch = world
    names = list(model.state_dict())
    adapters.attach(model, BOTH, SETTINGS, seed=0)
    train(model, batch)
    trained = logits(model, batch)
    adapters.merge(model)
    torch.testing.assert_close(logits(model, batch), trained, atol=1e-5, rtol=0)
    assert list(model.state_dict()) == names
    assert not adapters.has_adapters(model)
    assert not any(type(module).__module__.startswith("peft") for module in model.modules())


def test_a_base_in_half_precision_is_merged_in_float32(world: Any) -> None:
    model, _ = world
    model.language_model.bfloat16()
    adapters.attach(model, ("llm",), SETTINGS, seed=0)
    assert {p.dtype for name, p in model.named_parameters() if "lora_" in name} == {torch.float32}
    layer = model.get_decoder().layers[0].mlp.up_proj
    with torch.no_grad():
        layer.lora_B["default"].weight.fill_(1e-4)
    change = 2.0 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight  # alpha / rank = 2
    expected = layer.base_layer.weight.float() + change
    adapters.merge(model)
    torch.testing.assert_close(model.get_decoder().layers[0].mlp.up_proj.weight, expected, atol=1e-7, rtol=1e-6)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("parts", [("llm",), BOTH])
def test_peft_reads_the_folder_back_onto_the_base(world: Any, tmp_path: Path, parts: tuple[str, ...]) -> None:
    model, batch = world
    base = copy.deepcopy(model)
    adapters.attach(model, parts, SETTINGS, seed=0)
    train(model, batch)
    adapters.save(model, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["modules_to_save"]) == (
        4,
        8.0,
        ["projector"] if "projector" in parts else None,
    )
    read = PeftModel.from_pretrained(base, tmp_path)
    torch.testing.assert_close(logits(read, batch), logits(model, batch), atol=1e-6, rtol=0)


def test_transformers_reads_the_adapters_of_the_llm_back(world: Any, tmp_path: Path) -> None:
    model, batch = world
    base = copy.deepcopy(model)
    adapters.attach(model, ("llm",), SETTINGS, seed=0)
    train(model, batch)
    adapters.save(model, tmp_path)
    base.load_adapter(str(tmp_path))
    torch.testing.assert_close(logits(base, batch), logits(model, batch), atol=1e-6, rtol=0)


def test_a_checkpoint_holds_what_trains_and_brings_it_back(toy: Any, world: Any) -> None:
    model, batch = world
    adapters.attach(model, BOTH, SETTINGS, seed=0)
    train(model, batch)
    kept = adapters.trained_state(model)
    assert set(kept) == {name for name, value in model.named_parameters() if value.requires_grad}
    other, _, _ = toy()
    adapters.attach(other, BOTH, SETTINGS, seed=1)
    keys = other.load_state_dict(kept, strict=False)
    assert keys.unexpected_keys == []
    assert torch.equal(logits(other, batch), logits(model, batch))


def test_only_adapters_train_with_and_without_other_trained_parts(world: Any) -> None:
    model, _ = world
    model.set_trained("projector")
    assert not adapters.only_adapters_train(model)
    adapters.attach(model, BOTH, SETTINGS, seed=0)
    assert adapters.only_adapters_train(model)
    model.get_input_embeddings().weight.requires_grad_(True)
    assert not adapters.only_adapters_train(model)


def test_the_first_matrices_are_those_of_the_seed_and_nothing_else_is_drawn(toy: Any) -> None:
    result = []
    for seed in (0, 0, 1):
        model, _, _ = toy()
        torch.manual_seed(7)
        adapters.attach(model, BOTH, SETTINGS, seed=seed)
        after = torch.rand(1)
        result.append(adapters.trained_state(model))
        torch.manual_seed(7)
        assert torch.equal(after, torch.rand(1))
    name = "language_model.model.layers.0.self_attn.q_proj.lora_A.default.weight"
    assert all(torch.equal(result[0][key], result[1][key]) for key in result[0])
    assert not torch.equal(result[0][name], result[2][name])
    assert float(result[0][name].abs().max()) <= 16**-0.5
    assert float(result[0][name].std()) == pytest.approx(16**-0.5 / 3**0.5, rel=0.2)


@pytest.mark.parametrize(("names", "count"), [((), 14), (("q_proj", "v_proj"), 4)])
def test_targets_are_layers_of_the_decoder_alone(world: Any, names: tuple[str, ...], count: int) -> None:
    model, _ = world
    adapters.attach(model, BOTH, LoRASettings(rank=2, targets=names), seed=0)
    changed = {name.partition(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A." in name}
    assert len(changed) == count
    assert all(name.startswith("language_model.model.layers.") for name in changed)
    assert not names or {name.rpartition(".")[2] for name in changed} == set(names)


def test_targets_names_missing_and_existing_layers(world: Any) -> None:
    model, _ = world
    with pytest.raises(ConfigError, match=r"no linear layer lm_head; there are: down_proj, gate_proj, k_proj, o_proj"):
        adapters.attach(model, BOTH, LoRASettings(rank=2, targets=("q_proj", "lm_head")), seed=0)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("projector",), "--train.lora.rank 4: adapters train the LLM, which --train.train projector leaves out"),
        (("llm", "encoder", "embeddings"), "only the projector can train; leave embeddings and encoder out"),
    ],
)
def test_errors_refuses_parts_that_cannot_train_beside_adapters(
    world: Any, parts: tuple[str, ...], message: str
) -> None:
    (error,) = adapters.errors(SETTINGS, parts)
    assert message in error
    with pytest.raises(ConfigError, match="take rank 0"):
        adapters.attach(world[0], parts, SETTINGS, seed=0)


def test_errors_names_peft_only_with_a_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    assert adapters.errors(SETTINGS, BOTH) == [
        '--train.lora.rank 4: adapters need peft, which is not installed; pip install "spa3d[lora]"'
    ]
    assert adapters.errors(LoRASettings(), ("encoder",)) == []
