"""A small 3D LLM on a GPU: scores, bfloat16 steps, generation, and training that is resumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from spa3d.config.settings import StageSettings
from spa3d.contracts.benchmark import Question
from spa3d.contracts.objective import Need
from spa3d.inference.predictor import Predictor
from spa3d.inference.scoring import score
from spa3d.inference.views import ViewEncoder, Views, built_in_views
from spa3d.registry.create import create
from spa3d.training.arguments import TrainingJob
from spa3d.training.dataset import TrainingDataset, instructions
from spa3d.training.examples import sft_example, tokenize_example
from spa3d.training.loss import count_units, total
from spa3d.training.trainer import ObjectiveTrainer

pytestmark = pytest.mark.gpu

NEEDS = (Need("chosen", "clean"), Need("chosen", "noised"))
OBJECTIVES = ("sft", "spa", "spa-anchored")
ROUNDING = 0.05
"""Relative difference of a loss under bfloat16 autocast (8 bits of mantissa, two layers) from that of float32."""


def views_of(toy: Any, device: torch.device) -> tuple[Any, Any, Views]:
    model, processor, clouds = toy()
    model.to(device).set_trained("projector", "llm")
    noise = create("noise", "mask", level=0.5, patches=4, patch_size=8)
    return model, processor, built_in_views(ViewEncoder(model, clouds), noise=noise, seed=3)


def samples_of(processor: Any, dataset: Any, count: int = 8) -> TrainingDataset[Any]:
    text = tokenize_example(processor, sft_example(instructions(dataset, 0)), [("chosen", "cloud")])
    return TrainingDataset(dataset.records("train"), count, 0, text)


def loss_of(objective: Any, views: Views, batch: Sequence[Any], *, bf16: bool) -> torch.Tensor:
    model = views.model

    def forward(**inputs: Any) -> Any:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            return model(**inputs)

    scores = score(forward, objective.needs, batch, views).scores
    return total(objective.terms(scores), count_units([batch], objective.needs, views))


def test_scores_are_those_of_the_cpu(toy: Any, toy_dataset: Any, accelerator: torch.device) -> None:
    result = []
    for device in (torch.device("cpu"), accelerator):
        model, processor, views = views_of(toy, device)
        samples = samples_of(processor, toy_dataset)
        with torch.no_grad():
            scores = score(model, NEEDS, [samples[i] for i in range(8)], views).scores
        result.append(torch.stack([scores[need.text, need.view].logp for need in NEEDS]).cpu())
    torch.testing.assert_close(result[1], result[0], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_bfloat16_step_is_finite_and_close_to_float32(
    name: str, toy: Any, toy_dataset: Any, accelerator: torch.device
) -> None:
    objective, losses = create("objective", name), []
    for bf16 in (False, True):
        model, processor, views = views_of(toy, accelerator)
        samples = samples_of(processor, toy_dataset)
        loss = loss_of(objective, views, [samples[i] for i in range(8)], bf16=bf16)
        loss.backward()
        gradients = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
        assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients)
        assert any(bool(gradient.any()) for gradient in gradients)
        losses.append(float(loss.detach()))
    assert losses[1] == pytest.approx(losses[0], rel=ROUNDING)


def test_generation_with_a_cache_says_what_it_says_without(toy: Any, accelerator: torch.device) -> None:
    model, processor, views = views_of(toy, accelerator)
    with torch.no_grad():  # sharper than fresh weights are, so that no tie decides
        for parameter in model.language_model.parameters():
            parameter.mul_(3)
    model.eval()
    rows = [processor.question_ids(text, cloud=True) for text in ("Which side?", "Which side, left or right?", "What?")]
    prompt = {name: value.to(accelerator) for name, value in processor.pad(rows, side="left").items()}
    tokens = views["clean"].tokens([("test-0", 0), ("test-1", 0), ("test-2", 0)]).tokens
    written = [
        model.generate(**prompt, point_tokens=tokens, max_new_tokens=12, do_sample=False, use_cache=use_cache)
        if use_cache
        else by_whole_forwards(model, prompt, tokens, 12)
        for use_cache in (True, False)
    ]
    width = written[0].shape[1]
    assert torch.equal(written[0], written[1][:, :width])


def by_whole_forwards(model: Any, prompt: dict[str, torch.Tensor], tokens: torch.Tensor, count: int) -> torch.Tensor:
    """Greedy decoding without a cache; ended rows are padded."""
    ids, mask = prompt["input_ids"], prompt["attention_mask"]
    config = model.generation_config
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    for _ in range(count):
        places = (mask.cumsum(dim=1) - 1).clamp(min=0)
        with torch.no_grad():
            logits = model(
                input_ids=ids, attention_mask=mask, position_ids=places, point_tokens=tokens, logits_to_keep=1
            ).logits
        chosen = logits[:, -1].argmax(dim=-1)
        if config.eos_token_id is not None:
            chosen = torch.where(ended, torch.full_like(chosen, config.pad_token_id or 0), chosen)
            ended |= chosen == config.eos_token_id
        ids = torch.cat([ids, chosen[:, None]], dim=1)
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
    return ids


def test_options_have_the_likelihood_of_the_cpu(toy: Any, accelerator: torch.device) -> None:
    options = ("left", "on the right hand side", "It is 3.")
    questions = [Question(f"q{i}", f"test-{i}", "Which side?", options, "left", "side") for i in range(3)]
    result = []
    for device in (torch.device("cpu"), accelerator):
        model, processor, views = views_of(toy, device)
        answers = Predictor(model, processor, views, batch_size=2).answer(questions, "clean", lambda units: None)
        result.append(torch.tensor([answer.option_logp for answer in answers]))
    torch.testing.assert_close(result[1], result[0], atol=1e-3, rtol=1e-4)


def train(toy: Any, dataset: Any, device: torch.device, folder: Path, *, resume: str | None = None) -> Any:
    """Six steps of SPA with a checkpoint after three; the model."""
    model, processor, views = views_of(toy, device)
    settings = StageSettings(batch_size=4, learning_rate=1e-3, save_every=3)
    job = TrainingJob("test", settings, steps=6, folder=folder, seed=0, device=device, bf16=True)
    samples = samples_of(processor, dataset, 24)
    trainer = ObjectiveTrainer(job, samples=samples, objective=create("objective", "spa"), views=views)
    trainer.train(resume_from_checkpoint=resume)
    return model


def test_training_that_is_resumed_ends_with_the_same_weights(
    toy: Any, toy_dataset: Any, accelerator: torch.device, tmp_path: Path
) -> None:
    whole = train(toy, toy_dataset, accelerator, tmp_path / "whole")
    again = train(toy, toy_dataset, accelerator, tmp_path / "again")
    resumed = train(
        toy,
        toy_dataset,
        accelerator,
        tmp_path / "resumed",
        resume=str(tmp_path / "whole" / "checkpoints" / "checkpoint-3"),
    )
    start = views_of(toy, accelerator)[0]
    assert difference(whole, start) > 1e-3
    # Some of a GPU's sums have no fixed order: what two equal runs differ by is no error of resuming.
    assert difference(whole, resumed) <= 4 * difference(whole, again)


def difference(one: Any, other: Any) -> float:
    """Largest difference of a weight."""
    mine, theirs = one.state_dict(), other.state_dict()
    return max(float((mine[name] - theirs[name]).abs().max()) for name in mine if mine[name].is_floating_point())
