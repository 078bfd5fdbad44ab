"""Arguments of the Trainer: learning rates per part, complete checkpoints, steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from spa3d.config.settings import PartRates, StageSettings
from spa3d.config.stages import optimizer_steps
from spa3d.contracts.objective import Score, Scores
from spa3d.inference.views import ViewEncoder, built_in_views
from spa3d.registry.create import create
from spa3d.training.arguments import TrainingJob, last_checkpoint, training_arguments
from spa3d.training.dataset import TrainingDataset, instructions
from spa3d.training.examples import sft_example, tokenize_example
from spa3d.training.preference_metrics import Mean, level_metrics, mean_metrics, preference_metrics
from spa3d.training.trainer import ObjectiveTrainer, part_of


def trainer(
    toy: Any, dataset: Any, folder: Path, rates: PartRates, parts: tuple[str, ...], weight_decay: float = 0.0
) -> Any:
    model, processor, clouds = toy()
    model.set_trained(*parts)
    settings = StageSettings(batch_size=4, learning_rate=1e-3, rates=rates, weight_decay=weight_decay)
    text = tokenize_example(processor, sft_example(instructions(dataset, 0)), [("chosen", "cloud")])
    samples = TrainingDataset(dataset.records("train"), 8, 0, text)
    job = TrainingJob("test", settings, steps=2, folder=folder, seed=0, device=torch.device("cpu"))
    views = built_in_views(ViewEncoder(model, clouds))
    return ObjectiveTrainer(job, samples=samples, objective=create("objective", "sft"), views=views)


def test_weight_decay_reaches_matrices_only(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    made = trainer(toy, toy_dataset, tmp_path, PartRates(), ("encoder", "projector", "llm"))
    names = set(made.get_decay_parameter_names(made.model))
    shapes = {name: parameter.shape for name, parameter in made.model.named_parameters()}
    assert {name for name in names if len(shapes[name]) < 2} == set()
    assert {"encoder.mix.0.weight", "projector.layer.weight", "language_model.lm_head.weight"} <= names
    made.model.encoder.token = torch.nn.Parameter(torch.ones(1, 1, 8))
    made.model.encoder.scale = torch.nn.Parameter(torch.ones(1, 8, 1))
    assert set(made.get_decay_parameter_names(made.model)) == names


def test_tied_embeddings_are_one_parameter_of_the_optimizer(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    made = trainer(toy, toy_dataset, tmp_path, PartRates(), ("llm",), weight_decay=0.1)
    llm = made.model.language_model
    llm.lm_head.weight = llm.get_input_embeddings().weight
    groups = made.create_optimizer().param_groups
    own = [group for group in groups if any(each is llm.lm_head.weight for each in group["params"])]
    assert [group["weight_decay"] for group in own] == [0.1]
    made.train()
    assert llm.lm_head.weight is llm.get_input_embeddings().weight


def test_frozen_embeddings_survive_weight_decay_and_momentum(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    made = trainer(toy, toy_dataset, tmp_path, PartRates(), ("projector", "embeddings"), weight_decay=0.5)
    weight = made.model.get_input_embeddings().weight
    before, optimizer = weight.detach().clone(), made.create_optimizer()
    for old in (False, True):
        if old:  # as of a checkpoint of a stage that trained every row
            optimizer.state[weight]["exp_avg"].fill_(1.0)
        weight.grad = torch.zeros_like(weight)
        weight.grad[list(made.model.config.point_ids)] = 1.0
        optimizer.step()
        moved = (weight != before).any(dim=1).nonzero().flatten().tolist()
        assert set(moved) == set(made.model.config.point_ids)


def rates_of(made: Any) -> dict[str, float]:
    names = {parameter: part_of(name) for name, parameter in made.model.named_parameters()}
    groups = made.create_optimizer().param_groups
    return {names[parameter]: group["lr"] for group in groups for parameter in group["params"]}


def test_each_part_has_its_learning_rate(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    made = trainer(toy, toy_dataset, tmp_path, PartRates(projector=2e-2), ("projector", "llm"))
    assert rates_of(made) == {"projector": 2e-2, "llm": 1e-3}


def test_point_token_embeddings_have_their_own_learning_rate(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    made = trainer(toy, toy_dataset, tmp_path, PartRates(embeddings=5e-3), ("projector", "embeddings"))
    assert rates_of(made) == {"projector": 1e-3, "llm": 5e-3}


def test_where_the_llm_trains_its_embeddings_train_with_it(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    rates = PartRates(llm=1e-4, embeddings=5e-3)
    made = trainer(toy, toy_dataset, tmp_path, rates, ("projector", "llm", "embeddings"))
    assert rates_of(made) == {"projector": 1e-3, "llm": 1e-4}


@pytest.mark.parametrize(("parts", "looked_for"), [(("projector", "llm"), False), (("encoder", "llm"), True)])
def test_unused_parameters_are_searched_if_an_encoder_trains(
    toy: Any, toy_dataset: Any, tmp_path: Path, parts: tuple[str, ...], looked_for: bool
) -> None:
    made = trainer(toy, toy_dataset, tmp_path, PartRates(), parts)
    assert made.args.ddp_find_unused_parameters is looked_for
    assert made.accelerator.ddp_handler.find_unused_parameters is looked_for


def test_a_process_keeps_to_one_device(tmp_path: Path) -> None:
    settings, expected = (
        StageSettings(batch_size=8, accumulation=2),
        torch.device("meta"),
    )  # a device that is not the first
    arguments: Any = training_arguments(TrainingJob("test", settings, 1, tmp_path, 0, expected))
    arguments._n_gpu = 4
    assert arguments.device == expected
    assert arguments.n_gpu == 1
    assert arguments.train_batch_size == 4
    assert arguments.parallel_mode.value == "not_parallel"


@pytest.mark.parametrize(("device", "made_current"), [("cuda", []), ("cuda:1", [torch.device("cuda:1")]), ("cpu", [])])
def test_a_numbered_gpu_becomes_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, made_current: list[torch.device]
) -> None:
    calls: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    arguments = training_arguments(TrainingJob("test", StageSettings(), 1, tmp_path, 0, torch.device(device)))
    assert arguments.device == torch.device(device)
    assert calls == made_current


def test_mean_metrics_weighs_tokens_and_samples_not_batches() -> None:
    batches = [{"margin": Mean(1.0, 3), "level": Mean(0.5, 4)}, {"margin": Mean(5.0, 1)}, {"level": Mean(0.25, 1)}]
    assert mean_metrics(batches) == {"margin": 2.0, "level": 0.45}
    assert mean_metrics([]) == {}


@pytest.mark.parametrize("sizes", [(1,) * 8, (4, 4), (7, 1)])
def test_step_metrics_are_those_of_the_whole_batch_for_any_split(sizes: tuple[int, ...]) -> None:
    draws = torch.Generator().manual_seed(0)
    lengths = torch.tensor([1, 7, 2, 5, 0, 3, 9, 4])  # a sample without a rejected answer
    keys = [(text, view, "policy") for text, view in (("chosen", "clean"), ("chosen", "noised"), ("rejected", "clean"))]
    whole = {}
    for key in keys:
        mask = torch.arange(10) < (lengths if key[0] == "rejected" else lengths.clamp(min=1))[:, None]
        whole[key] = Score(torch.rand(8, 10, generator=draws).log() * mask, mask, mask.long() - 1)
    batches, first = [], 0
    for size in sizes:
        rows = slice(first, first + size)
        some = {
            key: Score(one.token_logp[rows], one.answer_mask[rows], one.round_index[rows]) for key, one in whole.items()
        }
        batches.append(preference_metrics(Scores(some)) | level_metrics({"noised": (float(first), size)}))
        first += size
    expected = mean_metrics([preference_metrics(Scores(whole))])
    assert {"logp_clean", "logp_noised", "logp_rejected", "margin", "pair_margin", "pair_saturation"} <= expected.keys()
    result = mean_metrics(batches)
    assert result.pop("noise_level") == pytest.approx(sum(sum(sizes[:i]) * size for i, size in enumerate(sizes)) / 8)
    assert result == pytest.approx(expected, abs=1e-6)


def test_every_trained_parameter_is_optimized_once(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    made = trainer(toy, toy_dataset, tmp_path, PartRates(llm=1e-4), ("projector", "llm"))
    optimized = [parameter for group in made.create_optimizer().param_groups for parameter in group["params"]]
    trained = [parameter for parameter in made.model.parameters() if parameter.requires_grad]
    assert len(optimized) == len(trained)
    assert {id(parameter) for parameter in optimized} == {id(parameter) for parameter in trained}


def test_a_part_at_rate_zero_point_something_moves_accordingly(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    made = trainer(toy, toy_dataset, tmp_path, PartRates(llm=1e-12), ("projector", "llm"))
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    made.train()
    moved = {
        part_of(name)
        for name, value in made.model.state_dict().items()
        if not torch.allclose(value, before[name], atol=1e-6)
    }
    assert moved == {"projector"}


def test_last_checkpoint_skips_an_incomplete_one(tmp_path: Path) -> None:
    for step, text in ((5, "{}"), (10, '{"epoch": 1'), (15, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if text is not None:
            (folder / "trainer_state.json").write_text(text)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-5"
    assert last_checkpoint(tmp_path / "nowhere") is None


def test_last_checkpoint_skips_files_cut_short_and_other_names(tmp_path: Path) -> None:
    for name in ("checkpoint-5", "checkpoint-10", "checkpoint-15", "checkpoint-abc", "checkpoint-20x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_text("{}")
        save_file({"a": torch.ones(99)}, tmp_path / name / "model.safetensors")
        torch.save({"state": {}}, tmp_path / name / "optimizer.pt")
    for path in (tmp_path / "checkpoint-15" / "model.safetensors", tmp_path / "checkpoint-10" / "optimizer.pt"):
        path.write_bytes(path.read_bytes()[:-50])
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-5"


@pytest.mark.parametrize(("settings", "steps"), [({"steps": 7}, 7), ({"epochs": 2}, 7), ({"epochs": 0.01}, 1)])
def test_steps_win_over_epochs(settings: dict[str, float], steps: int) -> None:
    assert optimizer_steps(StageSettings(batch_size=32, **settings), 100) == steps
