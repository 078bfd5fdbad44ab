"""Costs of rows and their SFT controls; the expected figures are computed by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from spa3d.comparison.budget import Candidate, PlannedRow, apply_budget, cost, inherited_settings
from spa3d.comparison.grid import RowSettings
from spa3d.config.settings import EncoderSelection, LoRASettings, RunConfig, Selection, TrainSettings
from spa3d.contracts.objective import Need

SFT = (Need(),)
SPA = (Need(), Need(view="noised"))
PAIR = (Need(), Need("rejected"))
DPO = (*PAIR, Need(model="reference", grad=False), Need("rejected", model="reference", grad=False))
TWINS = (Need(), Need("rejected"), Need(view="twin"), Need("rejected", "twin"))


@pytest.mark.parametrize(
    ("needs", "train", "passes", "forwards"),
    [
        (SFT, {}, 1.0, 3.0),
        (SPA, {}, 1.0, 6.0),
        ((Need(), Need(view="noised", grad=False)), {}, 1.0, 4.0),
        (PAIR, {}, 4.0, 6.0),
        (DPO, {}, 1.0, 8.0),
        (DPO, {}, 4.0, 6.5),  # 2 forwards of the reference, once in 4 passes
        (DPO, {"reference": "copy"}, 4.0, 8.0),
        (DPO, {"lora": LoRASettings(rank=4)}, 4.0, 8.0),  # auto: the model without its adapters, at every step
        (TWINS, {"twin_share": 0.5}, 1.0, 7.5),  # 3 + half of three more
    ],
)
def test_cost_in_forwards_per_sample(
    needs: Sequence[Need], train: dict[str, object], passes: float, forwards: float
) -> None:
    assert cost(needs, TrainSettings.model_validate(train), passes=passes) == pytest.approx(forwards)


def candidate(settings: RowSettings, needs: Sequence[Need] = SFT, *, items: int = 320) -> Candidate:
    """Row as from the command line; by default 320 records, 62 steps of 32 samples."""
    name = settings.get("objective", "sft")
    train = {
        "steps": int(settings.get("train.steps", 62)),
        "epochs": float(settings.get("train.epochs", 1)),
        "batch_size": int(settings.get("train.batch_size", 32)),
    }
    part = Selection(requested="x", component="x")
    config = RunConfig(
        preset="p",
        encoder=EncoderSelection(requested=settings.get("encoder", "x"), component="x"),
        projector=part,
        noise=part,
        objective=Selection(requested=name, component=name),
        dataset=part,
        benchmark=(part,),
        train=TrainSettings.model_validate(train),
    )
    return Candidate(name, settings, config, needs, items)


def control(settings: RowSettings) -> Candidate:
    return candidate({"objective": "sft", **settings})


def plan(rows: Sequence[Candidate], budget: str) -> list[PlannedRow]:
    return apply_budget(rows, budget, control)  # type: ignore[arg-type]


def summarize(planned: Sequence[PlannedRow]) -> list[tuple[str, str, str, int]]:
    return [(entry.row.label, entry.row.role, entry.row.control, entry.config.train.steps) for entry in planned]


def test_apply_budget_steps_adds_sft_of_as_many_steps() -> None:
    assert summarize(plan([candidate({"objective": "spa"}, SPA)], "steps")) == [
        ("spa", "row", "sft, 62 steps", 62),
        ("sft, 62 steps", "control", "", 62),
    ]


def test_apply_budget_uses_a_control_of_the_grid() -> None:
    rows = [candidate({"objective": "sft"}), candidate({"objective": "spa"}, SPA)]
    assert summarize(plan(rows, "steps")) == [("sft", "row", "", 62), ("spa", "row", "sft", 62)]


def test_apply_budget_compute_adds_one_control_per_cost() -> None:
    rows = [
        candidate({"objective": "sft"}),
        candidate({"objective": "spa"}, SPA),
        candidate({"objective": "simpo"}, PAIR),
        candidate({"objective": "dpo"}, DPO, items=496),  # 62 · 32 samples are 4 passes: 6.5 / 3 · 62 = 134.3
    ]
    assert summarize(plan(rows, "compute")) == [
        ("sft", "row", "", 62),
        ("spa", "row", "sft, 124 steps", 62),
        ("simpo", "row", "sft, 124 steps", 62),
        ("dpo", "row", "sft, 134 steps", 62),
        ("sft, 124 steps", "control", "", 124),
        ("sft, 134 steps", "control", "", 134),
    ]


def test_apply_budget_samples_are_independent_of_the_batch_size() -> None:
    rows = [candidate({"objective": "dpo", "train.batch_size": "8", "train.steps": "10"}, DPO)]
    planned = plan(rows, "samples")
    assert summarize(planned) == [("dpo", "row", "sft, 248 steps", 248), ("sft, 248 steps", "control", "", 248)]
    assert {entry.config.train.batch_size for entry in planned} == {8}


def test_apply_budget_turns_epochs_into_steps() -> None:
    epochs = {"objective": "spa", "train.steps": "0", "train.epochs": "1.5"}
    planned = plan([candidate(epochs, SPA)], "steps")
    assert [steps for _, _, _, steps in summarize(planned)] == [15, 15]  # 1.5 · 320 / 32
    assert planned[0].row.settings["train.steps"] == "15"


def test_apply_budget_control_per_encoder() -> None:
    rows = [candidate({"objective": "spa", "encoder": name}, SPA) for name in ("a", "b")]
    assert [(label, control) for label, _, control, _ in summarize(plan(rows, "steps"))] == [
        ("spa", "sft, a, 62 steps"),
        ("spa", "sft, b, 62 steps"),
        ("sft, a, 62 steps", ""),
        ("sft, b, 62 steps", ""),
    ]


def test_inherited_settings_keep_batch_and_encoder_but_no_rate() -> None:
    settings = {
        "objective": "dpo",
        "objective.beta": "0.2",
        "noise.level": "0.5",
        "pairs.mode": "augmentation",
        "train.learning_rate": "1e-6",
        "train.fresh": "true",
        "train.batch_size": "8",
        "encoder": "pointbert",
        "evaluate.split": "val",
    }
    assert inherited_settings(settings) == {"train.batch_size": "8", "encoder": "pointbert", "evaluate.split": "val"}
