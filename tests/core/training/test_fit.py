"""A stage of training ends with an error where its numbers are no longer finite."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.config.settings import StageSettings
from spa3d.errors import DivergenceError
from spa3d.inference.views import ViewEncoder, built_in_views
from spa3d.registry.create import create
from spa3d.runtime.progress import SilentReporter
from spa3d.training.arguments import TrainingJob
from spa3d.training.dataset import TrainingDataset, instructions
from spa3d.training.examples import sft_example, tokenize_example
from spa3d.training.fit import fit
from spa3d.training.trainer import ObjectiveTrainer


def train(toy: Any, dataset: Any, folder: Path, *, steps: int, rate: float) -> int:
    model, processor, clouds = toy()
    model.set_trained("projector", "llm")
    text = tokenize_example(processor, sft_example(instructions(dataset, 0)), [("chosen", "cloud")])
    settings = StageSettings(batch_size=4, log_every=1, warmup=0.0).model_copy(update={"learning_rate": rate})
    job = TrainingJob("base.align", settings, steps, folder, seed=0, device=torch.device("cpu"))
    samples = TrainingDataset(dataset.records("train"), steps * 4, 0, text)
    views = built_in_views(ViewEncoder(model, clouds))
    trainer = ObjectiveTrainer(job, samples=samples, objective=create("objective", "sft"), views=views)
    return fit(trainer, MetricsLog(folder / "metrics.jsonl"), SilentReporter())


def test_fit_returns_the_number_of_steps(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    assert train(toy, toy_dataset, tmp_path, steps=3, rate=1e-3) == 3


def test_fit_ends_at_the_step_with_a_loss_that_is_not_finite(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match=r"^base.align diverged: the loss of step 2 is (nan|inf)"):
        train(toy, toy_dataset, tmp_path, steps=6, rate=1e30)
    losses = [row["loss"] for row in MetricsLog(tmp_path / "metrics.jsonl").rows()]
    assert [math.isfinite(loss) for loss in losses] == [True, False]


def test_fit_ends_where_the_last_step_spoils_the_weights(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    with pytest.raises(
        DivergenceError, match=r"^base.align diverged: after step 1 \d+ weights are not finite, such as"
    ):
        train(toy, toy_dataset, tmp_path, steps=1, rate=float(torch.finfo(torch.float32).max) * 10)
