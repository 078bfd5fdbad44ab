"""Watchdog: significant drops only, and a warning when SPA lowers both log p."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.config.settings import StageSettings
from spa3d.errors import DivergenceError, OutputError
from spa3d.inference.views import ViewEncoder, built_in_views
from spa3d.registry.create import create
from spa3d.runtime.progress import SilentReporter
from spa3d.training.arguments import TrainingJob
from spa3d.training.best_checkpoint import BestCheckpoint
from spa3d.training.dataset import TrainingDataset, instructions
from spa3d.training.examples import sft_example, tokenize_example
from spa3d.training.fit import fit
from spa3d.training.trainer import ObjectiveTrainer
from spa3d.training.watchdog import HeldOutWatchdog, WatchdogSettings, significant_drop, watchdog_text


@pytest.mark.parametrize(
    ("drop", "spread", "fires"),
    [
        (0.10, 0.01, True),
        (0.10, 2.00, False),  # large, but within three standard errors
        (0.02, 0.001, False),  # certain, but smaller than 0.03 nats
        (-0.50, 0.01, False),  # a rise
    ],
)
def test_significant_drop_must_be_large_and_certain(drop: float, spread: float, fires: bool) -> None:
    noise = np.linspace(-spread, spread, 64)
    result = significant_drop(np.zeros(64), noise - drop)
    assert (result is not None) == fires
    if result is not None:
        assert result[0] == pytest.approx(drop)
        assert result[1] == pytest.approx(noise.std(ddof=1) / 8)


def test_watchdog_text_has_the_numbers_of_the_drop() -> None:
    assert "fell by 0.250 ± 0.010 nats per token by step 3" in watchdog_text(3, 0.25, 0.01)


def train(
    toy: Any, dataset: Any, folder: Path, objective: Any, steps: int, rate: float, warnings: list[str], **how: Any
) -> Any:
    model, processor, clouds = toy
    model.set_trained("projector", "llm")
    noise = create("noise", "mask", level=0.5, patches=4, patch_size=8)
    views = built_in_views(ViewEncoder(model, clouds), noise=noise)
    text = tokenize_example(processor, sft_example(instructions(dataset, 0)), [("chosen", "cloud")])
    settings = StageSettings(batch_size=8, log_every=5, save_every=how.get("save_every", 1000)).model_copy(
        update={"learning_rate": rate}  # beyond the bounds of the setting
    )
    metrics_log = MetricsLog(folder / "metrics.jsonl")
    probe = HeldOutWatchdog(
        views,
        [text(record, 0) for record in dataset.records("train")],
        WatchdogSettings(how.get("every", 5), 8, folder / "probe.json", early_stop=how.get("early_stop", False)),
        metrics_log=metrics_log,
        warn=warnings.append,
        best=BestCheckpoint(model, folder / "best.safetensors") if how.get("best") else None,
    )
    samples = TrainingDataset(dataset.records("train"), steps * 8, 0, text)
    job = TrainingJob("post-train", settings, steps, folder, seed=0, device=torch.device("cpu"))
    fit(
        ObjectiveTrainer(job, samples=samples, objective=objective, views=views), metrics_log, SilentReporter(), [probe]
    )
    return metrics_log.rows()


BASE: dict[str, torch.Tensor] = {}
"""Weights of the base that `train_base` trains once."""


def train_base(parts: Any, dataset: Any, folder: Path, warnings: list[str]) -> None:
    if BASE:
        parts[0].load_state_dict(BASE)
        return
    train(parts, dataset, folder, create("objective", "sft"), 150, 1e-2, warnings)
    assert warnings == []
    BASE.update({name: value.clone() for name, value in parts[0].state_dict().items()})


@pytest.mark.slow
def test_watchdog_catches_spa_at_a_high_learning_rate(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    parts, warnings = toy(), []
    for name in ("base", "post"):
        (tmp_path / name).mkdir()
    train_base(parts, toy_dataset, tmp_path / "base", warnings)
    rows = train(parts, toy_dataset, tmp_path / "post", create("objective", "spa"), 60, 1e-2, warnings)
    probes = [row for row in rows if row.get("probe")]
    assert probes[-1]["margin"] > probes[0]["margin"] + 1, "the objective itself must look like a success"
    assert probes[-1]["logp_clean"] < probes[0]["logp_clean"] - 0.03
    assert len(warnings) == 1
    assert "log p(y|x) fell" in warnings[0]
    assert [row["warning"] for row in rows if "warning" in row] == warnings
    assert len(json.loads((tmp_path / "post" / "probe.json").read_text())) == 8


def test_watchdog_ends_a_training_that_diverges(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    with pytest.raises(
        DivergenceError, match=r"post-train diverged: at step \d log p of 8 of 8 held-out answers is not"
    ):
        train(toy(), toy_dataset, tmp_path, create("objective", "sft"), 10, 1e30, [], every=1)
    probes = [row["logp_clean"] for row in MetricsLog(tmp_path / "metrics.jsonl").rows() if row.get("probe")]
    assert [bool(np.isfinite(logp)) for logp in probes] == [True] * (len(probes) - 1) + [False]


@pytest.mark.parametrize("content", [None, "", "[0.1", "[0.1, 0.2]", "{}"])
def test_watchdog_refuses_lost_scores_when_resumed(
    toy: Any, toy_dataset: Any, tmp_path: Path, content: str | None
) -> None:
    train(toy(), toy_dataset, tmp_path, create("objective", "sft"), 5, 1e-3, [], save_every=5)
    path = tmp_path / "probe.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(OutputError, match=r"probe.json: .*held-out scores"):
        train(toy(), toy_dataset, tmp_path, create("objective", "sft"), 10, 1e-3, [])


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def test_early_stop_ends_training_when_the_watchdog_fires(toy: Any, toy_dataset: Any, tmp_path: Path) -> None:
    parts, warnings = toy(), []
    for name in ("base", "post"):
        (tmp_path / name).mkdir()
    train_base(parts, toy_dataset, tmp_path / "base", warnings)
    settings = {"early_stop": True, "best": True, "save_every": 5}
    before = weights(parts[0])
    rows = train(parts, toy_dataset, tmp_path / "post", create("objective", "spa"), 60, 1e-2, warnings, **settings)
    stopped = [row["stopped"] for row in rows if "stopped" in row]
    assert len(warnings) == len(stopped) == 1
    assert stopped[0] == max(row["step"] for row in rows) < 60
    probes = {row["step"]: row["logp_clean"] for row in rows if row.get("probe")}
    kept = next(row["kept"] for row in rows if "kept" in row)
    assert kept == max(probes, key=probes.__getitem__)
    if kept == 0:  # nothing helped: what comes out is the base itself
        assert all(torch.equal(value, before[name]) for name, value in weights(parts[0]).items())
    # A kill behind the stop and before the model is saved: what resumes stops there again, and goes not beyond.
    assert not (tmp_path / "post" / "checkpoints" / f"checkpoint-{stopped[0]}").exists()
    again = train(parts, toy_dataset, tmp_path / "post", create("objective", "spa"), 60, 1e-2, warnings, **settings)
    assert [row["stopped"] for row in again if "stopped" in row] == stopped
    assert max(row["step"] for row in again) == stopped[0]


def test_best_checkpoint_restores_weights(toy: Any, tmp_path: Path) -> None:
    model, _, _ = toy()
    model.set_trained("projector")
    best = BestCheckpoint(model, tmp_path / "best.safetensors")
    assert best.read_saved() is None
    best.update(0, -1.0)
    good = weights(model)
    with torch.no_grad():
        for parameter in model.projector.parameters():
            parameter.add_(1)
    best.update(5, -2.0)
    assert best.read_saved() == (0, -1.0)
    best.restore()
    assert all(torch.equal(value, good[name]) for name, value in weights(model).items())
    best.update(10, -0.5)
    assert best.read_saved() == (10, -0.5)


def test_best_checkpoint_restores_running_statistics(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    best = BestCheckpoint(model, tmp_path / "best.safetensors")
    best.update(0, -1.0)
    good = {name: value.clone() for name, value in model.state_dict().items()}
    model(torch.tensor([[1.0, 2.0], [5.0, 9.0]]))
    assert not torch.equal(model.state_dict()["1.running_mean"], good["1.running_mean"])
    best.restore()
    assert all(torch.equal(value, good[name]) for name, value in model.state_dict().items())


def test_best_checkpoint_is_updated_by_the_first_process_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Others may look when the first has written: all must come to the meeting, whatever they would find.
    best, met = BestCheckpoint(torch.nn.Linear(2, 2), tmp_path / "best.safetensors"), []
    best.update(0, -1.0)
    monkeypatch.setattr("spa3d.training.best_checkpoint.distributed.run_in_first", met.append)
    best.update(5, -1.0)
    best.update(10, -0.5)
    assert len(met) == 2
    assert best.read_saved() == (0, -1.0)
