"""Frozen parts stay as they are, trained ones are float32, no step depends on its split."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spa3d.model.trained_parts import find_batch_statistics


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_frozen_parts_stay_in_eval_mode_and_bit_identical(toy: Any) -> None:
    model, processor, clouds = toy()
    model.set_trained("projector")
    model.train()
    assert not model.encoder.training
    assert not model.language_model.training
    assert model.projector.training
    before = state(model)
    tokens = processor.tokenize(clouds.dataset.record("train-0").conversations[0], cloud=True)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        points = torch.from_numpy(clouds.get(["train-0"]))
        output = model(input_ids=torch.tensor([tokens.ids]), labels=torch.tensor([tokens.labels]), points=points)
        output.loss.backward()
        optimizer.step()
    changed = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"projector"}


def test_only_the_point_tokens_embeddings_move_when_embeddings_train(toy: Any) -> None:
    model, processor, clouds = toy()
    model.set_trained("projector", "embeddings")
    before = model.get_input_embeddings().weight.detach().clone()
    tokens = processor.tokenize(clouds.dataset.record("train-0").conversations[0], cloud=True)
    points = torch.from_numpy(clouds.get(["train-0"]))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.0)
    model(input_ids=torch.tensor([tokens.ids]), labels=torch.tensor([tokens.labels]), points=points).loss.backward()
    optimizer.step()
    moved = (model.get_input_embeddings().weight != before).any(dim=1).nonzero().flatten().tolist()
    assert set(moved) <= set(model.config.point_ids)
    assert moved


HALVES = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize("half", HALVES)
def test_set_trained_makes_trained_weights_float32_and_keeps_frozen_ones(toy: Any, half: torch.dtype) -> None:
    model, _, _ = toy()
    model.to(half)
    before = state(model)
    model.set_trained("projector", "llm")
    dtypes = {name: {weight.dtype for weight in part.parameters()} for name, part in model.parts.items()}
    assert dtypes == {"encoder": {half}, "projector": {torch.float32}, "llm": {torch.float32}}
    assert all(torch.equal(value.to(half), before[name]) for name, value in model.state_dict().items())


def test_set_trained_makes_only_the_embeddings_float32(toy: Any) -> None:
    model, _, _ = toy()
    model.language_model.bfloat16()
    model.set_trained("projector", "embeddings")
    wide = [name for name, weight in model.language_model.named_parameters() if weight.dtype == torch.float32]
    assert wide == ["model.embed_tokens.weight"]
    assert model.dtype == torch.float32


def test_small_steps_move_a_model_stored_in_half_precision(toy: Any) -> None:
    """As many weights as in float32; in bfloat16 itself nearly none would move."""
    moved = []
    for dtype in (torch.float32, torch.bfloat16):
        model, processor, clouds = toy()
        model.language_model.to(torch.bfloat16).to(dtype)
        before = state(model.language_model)
        model.set_trained("projector", "llm")
        text = processor.tokenize(clouds.dataset.record("train-0").conversations[0], cloud=True)
        points = torch.from_numpy(clouds.get(["train-0"]))
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6)
        model(input_ids=torch.tensor([text.ids]), labels=torch.tensor([text.labels]), points=points).loss.backward()
        optimizer.step()
        after = state(model.language_model)
        moved.append(sum(int((after[name] != value.to(after[name])).sum()) for name, value in before.items()))
    assert moved[0] == moved[1] > 1000


def test_train_keeps_batch_statistics_of_an_encoder_that_trains(toy: Any) -> None:
    model, _, clouds = toy()
    model.set_trained("encoder")
    model.train()
    linear, norm, dropout = model.encoder.mix
    assert linear.training
    assert dropout.training
    assert not norm.training
    before, dropout.p = state(norm), 0.0
    points = torch.from_numpy(clouds.get(["train-0", "train-1"]))
    together = model.encode(points)
    torch.testing.assert_close(together, torch.cat([model.encode(points[:1]), model.encode(points[1:])]))
    together.sum().backward()
    assert norm.weight.grad is not None
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    torch.testing.assert_close(together, model.eval().encode(points))


def test_find_batch_statistics_finds_what_depends_on_a_batch() -> None:
    kinds = [torch.nn.BatchNorm1d(2), torch.nn.SyncBatchNorm(2), torch.nn.InstanceNorm1d(2, track_running_stats=True)]
    others = [torch.nn.LayerNorm(2), torch.nn.InstanceNorm1d(2), torch.nn.GroupNorm(1, 2)]
    assert find_batch_statistics(torch.nn.ModuleList([*kinds, *others])) == kinds
