"""Budgets: how many steps each row gets, and the SFT row of equal budget that it is held against.

A row's cost is counted in forwards per sample: a text that is scored with gradients costs 3 (forward, and backward at
twice that), one without 1. What pairs cost before training (generated answers) is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from spa3d.comparison.cells import Role, Row
from spa3d.comparison.grid import RowSettings, spoken
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
"""Settings of a row that its control does not take over: SFT has its own preset's learning rate."""


@dataclass(frozen=True)
class Candidate:
    """A row that could be run: its configuration, what its objective wants, and the number of its training items."""

    label: str
    settings: RowSettings
    config: RunConfig
    needs: Sequence[Need]
    items: int

    @property
    def steps(self) -> int:
        """Optimizer steps, those that its epochs need where it names no steps."""
        return optimizer_steps(self.config.train, self.items)

    @property
    def samples(self) -> int:
        """Samples it sees in all."""
        return self.steps * self.config.train.batch_size

    def of_steps(self, steps: int) -> Candidate:
        """The same with its steps named."""
        train = self.config.train.model_copy(update={"steps": steps, "epochs": 1.0})
        settings = {**self.settings, "train.steps": str(steps)}
        return replace(self, settings=settings, config=self.config.model_copy(update={"train": train}))


@dataclass(frozen=True)
class Planned:
    """A row of the comparison, and the configuration of its runs but for the seed."""

    row: Row
    config: RunConfig


Control = Callable[[RowSettings], Candidate]
"""The SFT row that has, beside SFT, the given settings."""


def cost(needs: Sequence[Need], train: TrainSettings, *, passes: float) -> float:
    """Forwards per sample of one step; SFT's are 3.

    Minimal pairs are only a share of the samples of an objective that asks for twins: the rest cost what SFT costs.
    A precomputed reference of preference pairs, which are the same in each pass over them, is paid once.
    """
    twins = asks_for_twins(needs)
    kept = train.reference == "precomputed" or (train.reference == "auto" and not train.lora.rank)
    once = kept and asks_for_pairs(needs)
    total = 0.0
    for need in needs:
        share = train.twin_share if twins and (need.text, need.view) != ("chosen", "clean") else 1.0
        if need.model == "reference":
            again = need.view == "noised" or not once
            total += share * (1.0 if again else 1.0 / max(1.0, passes))
        else:
            total += share * (SFT_COST if need.grad else 1.0)
    return total


def budgeted(candidates: Sequence[Candidate], budget: Budget, control: Control) -> list[Planned]:
    """Give each candidate its steps, and an SFT row of equal budget unless the grid holds that very row.

    Args:
        candidates: the rows of the grid.
        budget: ``steps``: every row as its preset says, SFT for as many steps. ``samples``: every row sees as many
            samples as SFT by its preset. ``compute``: every row as its preset says, SFT for as many steps as cost the
            same.
        control: makes the SFT row.

    """
    rows = [_fitted(candidate, budget, control) for candidate in candidates]
    places = {_key(row): row.label for row in reversed(rows)}
    controls: dict[str, Candidate] = {}
    held: list[str] = []
    for row in rows:
        sft = _control(row, budget, control)
        key = _key(sft)
        if key not in places and key not in controls:
            taken = [*places.values(), *(other.label for other in controls.values())]
            controls[key] = replace(sft, label=_free(_control_label(row, sft, rows), taken))
        label = places[key] if key in places else controls[key].label
        held.append("" if key == _key(row) else label)
    planned = [_planned(row, "row", label) for row, label in zip(rows, held, strict=True)]
    return planned + [_planned(sft, "control", "") for sft in controls.values()]


def _fitted(candidate: Candidate, budget: Budget, control: Control) -> Candidate:
    if budget != "samples":
        return candidate.of_steps(candidate.steps)
    as_preset = {key: value for key, value in inherited(candidate.settings).items() if not key.startswith("train.")}
    samples = control(as_preset).samples
    return candidate.of_steps(max(1, round(samples / candidate.config.train.batch_size)))


def _control(row: Candidate, budget: Budget, control: Control) -> Candidate:
    sft = control(inherited(row.settings))
    if budget == "steps":
        return sft.of_steps(row.steps)
    factor = 1.0
    if budget == "compute":
        factor = cost(row.needs, row.config.train, passes=row.samples / max(1, row.items)) / SFT_COST
    return sft.of_steps(max(1, round(factor * row.samples / sft.config.train.batch_size)))


def inherited(settings: RowSettings) -> dict[str, str]:
    """The settings of a row that its control takes over: encoder, data, batch, whatever is not its OWN."""
    return {
        key: value for key, value in settings.items() if not any(key == own or key.startswith(f"{own}.") for own in OWN)
    }


def _control_label(row: Candidate, sft: Candidate, rows: Sequence[Candidate]) -> str:
    varying = [key for key in inherited(row.settings) if len({other.settings.get(key) for other in rows}) > 1]
    return ", ".join(["sft", *(spoken(key, row.settings[key]) for key in varying), f"{sft.steps} steps"])


def _free(label: str, taken: Sequence[str]) -> str:
    """`label`, numbered where a row has that name already."""
    names: Iterator[str] = (f"{label} ({number})" if number > 1 else label for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _key(candidate: Candidate) -> str:
    """What decides a run: two candidates of one key would be the same run."""
    return json.dumps(candidate.config.model_dump(mode="json"), sort_keys=True)


def _planned(candidate: Candidate, role: Role, control: str) -> Planned:
    return Planned(Row(candidate.label, candidate.settings, role, control), candidate.config)
