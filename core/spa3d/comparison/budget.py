"""Budgets: the steps of each row, and its control, an SFT row of equal budget.

Cost is counted in forwards per sample. A text scored with gradients costs 3: one forward, and a backward that costs
twice as much. A text scored without gradients costs 1. Generating pairs before training is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from spa3d.comparison.cells import Role, Row
from spa3d.comparison.grid import RowSettings, format_setting
from spa3d.config.settings import RunConfig, TrainSettings
from spa3d.config.stages import optimizer_steps
from spa3d.contracts.objective import Need, asks_for_pairs, asks_for_twins
from spa3d.registry.manifest import Budget

SFT_COST = 3.0
OWN: tuple[str, ...] = (
    *("objective", "noise", "pairs"),
    *("train.learning_rate", "train.rates", "train.steps", "train.epochs", "train.early_stop", "train.keep"),
    *("train.fresh", "train.twin_share", "train.reference"),
)
"""Settings that a control does not copy from its row; SFT takes them from its own preset."""


@dataclass(frozen=True)
class Candidate:
    """A row before its budget: configuration, needs of the objective, number of training items."""

    label: str
    settings: RowSettings
    config: RunConfig
    needs: Sequence[Need]
    items: int

    @property
    def steps(self) -> int:
        """Optimizer steps: those configured, or as many as its epochs need."""
        return optimizer_steps(self.config.train, self.items)

    @property
    def samples(self) -> int:
        """Number of training samples over all steps."""
        return self.steps * self.config.train.batch_size

    def with_steps(self, steps: int) -> Candidate:
        """A copy with `steps` set and `epochs` ignored."""
        train = self.config.train.model_copy(update={"steps": steps, "epochs": 1.0})
        settings = {**self.settings, "train.steps": str(steps)}
        return replace(self, settings=settings, config=self.config.model_copy(update={"train": train}))


@dataclass(frozen=True)
class PlannedRow:
    """A row of the comparison, and the configuration of its runs without the seed."""

    row: Row
    config: RunConfig


Control = Callable[[RowSettings], Candidate]
"""Makes the SFT row with the given settings."""


def cost(needs: Sequence[Need], train: TrainSettings, *, passes: float) -> float:
    """Count the forwards per sample of one training step; SFT needs 3.

    With an objective that asks for twins, only `train.twin_share` of the samples are minimal pairs; the others cost as
    much as SFT. Preference pairs are the same in every pass, so their precomputed reference is paid for only once.
    """
    twins = asks_for_twins(needs)
    precomputed = train.reference == "precomputed" or (train.reference == "auto" and not train.lora.rank)
    once = precomputed and asks_for_pairs(needs)
    total = 0.0
    for need in needs:
        share = train.twin_share if twins and (need.text, need.view) != ("chosen", "clean") else 1.0
        if need.model == "reference":
            every_pass = need.view == "noised" or not once
            total += share * (1.0 if every_pass else 1.0 / max(1.0, passes))
        else:
            total += share * (SFT_COST if need.grad else 1.0)
    return total


def apply_budget(candidates: Sequence[Candidate], budget: Budget, control: Control) -> list[PlannedRow]:
    """Set the steps of each candidate, and add its control unless the grid already contains it.

    Args:
        candidates: the rows of the grid.
        budget: ``steps``: each row keeps its preset's steps, and SFT gets as many. ``samples``: each row sees as many
            samples as SFT with its preset. ``compute``: each row keeps its preset's steps, and SFT gets as many steps
            as cost the same.
        control: makes an SFT row.

    """
    rows = [_set_steps(candidate, budget, control) for candidate in candidates]
    labels = {_make_key(row): row.label for row in reversed(rows)}
    controls: dict[str, Candidate] = {}
    control_labels: list[str] = []
    for row in rows:
        sft = _make_control(row, budget, control)
        key = _make_key(sft)
        if key not in labels and key not in controls:
            taken = [*labels.values(), *(other.label for other in controls.values())]
            controls[key] = replace(sft, label=_number_label(_describe_control(row, sft, rows), taken))
        label = labels[key] if key in labels else controls[key].label
        control_labels.append("" if key == _make_key(row) else label)
    planned = [_plan(row, "row", label) for row, label in zip(rows, control_labels, strict=True)]
    return planned + [_plan(sft, "control", "") for sft in controls.values()]


def _set_steps(candidate: Candidate, budget: Budget, control: Control) -> Candidate:
    if budget != "samples":
        return candidate.with_steps(candidate.steps)
    as_preset = {
        key: value for key, value in inherited_settings(candidate.settings).items() if not key.startswith("train.")
    }
    samples = control(as_preset).samples
    return candidate.with_steps(max(1, round(samples / candidate.config.train.batch_size)))


def _make_control(row: Candidate, budget: Budget, control: Control) -> Candidate:
    sft = control(inherited_settings(row.settings))
    if budget == "steps":
        return sft.with_steps(row.steps)
    factor = 1.0
    if budget == "compute":
        factor = cost(row.needs, row.config.train, passes=row.samples / max(1, row.items)) / SFT_COST
    return sft.with_steps(max(1, round(factor * row.samples / sft.config.train.batch_size)))


def inherited_settings(settings: RowSettings) -> dict[str, str]:
    """Select the settings that a control copies from its row: all except those in `OWN`."""
    return {
        key: value for key, value in settings.items() if not any(key == own or key.startswith(f"{own}.") for own in OWN)
    }


def _describe_control(row: Candidate, sft: Candidate, rows: Sequence[Candidate]) -> str:
    varying = [key for key in inherited_settings(row.settings) if len({other.settings.get(key) for other in rows}) > 1]
    return ", ".join(["sft", *(format_setting(key, row.settings[key]) for key in varying), f"{sft.steps} steps"])


def _number_label(label: str, taken: Sequence[str]) -> str:
    """Number `label` if another row already has it."""
    names: Iterator[str] = (f"{label} ({number})" if number > 1 else label for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _make_key(candidate: Candidate) -> str:
    """Make a key of the whole configuration: two candidates with equal keys are the same run."""
    return json.dumps(candidate.config.model_dump(mode="json"), sort_keys=True)


def _plan(candidate: Candidate, role: Role, control: str) -> PlannedRow:
    return PlannedRow(Row(candidate.label, candidate.settings, role, control), candidate.config)
