"""Results of one finished cell, read from its folder: question scores and training figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.artifacts.predictions import read_rows
from spa3d.comparison.cells import Cell
from spa3d.comparison.document import BenchmarkSubset
from spa3d.errors import DataError
from spa3d.evaluation.summary import ScoredUnits, Values, unit_sets
from spa3d.evaluation.training_health import probe_ends


@dataclass(frozen=True)
class QuestionValues:
    """One number per question of one cell, sorted by question id; ``records`` names the clouds."""

    ids: np.ndarray
    records: np.ndarray
    values: Values

    @property
    def mean(self) -> float:
        """The mean over the questions."""
        return float(self.values.mean())

    def minus(self, other: QuestionValues) -> QuestionValues:
        """Subtract on the questions of both."""
        ids, mine, theirs = np.intersect1d(self.ids, other.ids, assume_unique=True, return_indices=True)
        return QuestionValues(ids, self.records[mine], self.values[mine] - other.values[theirs])


@dataclass(frozen=True)
class BeforeAfter:
    """One set of questions of one benchmark, before and after post-training."""

    before: ScoredUnits
    after: ScoredUnits

    def score(self, side: ScoredUnits) -> QuestionValues:
        """Score of each question, with the cloud where one was shown."""
        return QuestionValues(side.ids, side.records, side.scored)

    def gap(self, side: ScoredUnits) -> QuestionValues | None:
        """Score with the cloud minus score without; None where no cloud was ever shown."""
        return None if side.clean is None else QuestionValues(side.ids, side.records, side.clean - side.blind)

    def change(self) -> QuestionValues:
        """After minus before."""
        return self.score(self.after).minus(self.score(self.before))

    def gap_change(self) -> QuestionValues | None:
        """Gap after minus gap before, each in [-2, 2]."""
        after, before = self.gap(self.after), self.gap(self.before)
        return None if after is None or before is None else after.minus(before)


@dataclass(frozen=True)
class CellResult:
    """Results of a finished cell.

    Attributes:
        cell: which.
        sets: benchmark and set (``test``, ``counterfactual``, ``flip``) to the questions' scores, in reported order.
        training: name to number, see `TRAINING`; what was not recorded is missing.
        warnings: what the watchdog said.

    """

    cell: Cell
    sets: Mapping[BenchmarkSubset, BeforeAfter]
    training: Mapping[str, float]
    warnings: Sequence[str]


TRAINING = {
    "steps": "optimizer steps of post-training",
    "seconds": "wall time of post-training",
    "learning_rate": "peak learning rate",
    "margin": "log p of held-out answers, clean minus noised, nats per answer, of the weights that came out",
    "saturation": "share of held-out answers whose margin is so wide that the contrast teaches nothing, likewise",
    "drift": "log p of held-out answers on clean clouds, nats per token, of the weights that came out minus the base's",
    "repetition": "share of repeated three-word sequences in free answers, after post-training",
    "warnings": "warnings of the watchdog",
}


def read_cell(cell: Cell, seconds: float | None) -> CellResult:
    """Read the results of a finished run from its folder.

    Args:
        cell: whose folder is read.
        seconds: wall time of post-training where it is known; otherwise the report's.

    Raises:
        DataError: something is not there or not as a run writes it; names the file.

    """
    folder = cell.folder
    report = _mapping(folder / "report.json", json.loads)
    config = _mapping(folder / "config.yaml", yaml.safe_load)
    metrics_log = [row for row in MetricsLog(folder / "metrics.jsonl").rows() if row.get("stage") == "post-train"]
    sets = {
        (name, subset): sides
        for name in report.get("benchmarks", {})
        for subset, sides in _sides(folder / "predictions", name).items()
    }
    if not sets:
        raise DataError(f"{folder / 'report.json'}: names no benchmark that was asked")
    training = _training(metrics_log, report, config) | ({} if seconds is None else {"seconds": seconds})
    warnings = [str(text) for text in report.get("training", {}).get("warnings", ())]
    return CellResult(cell, sets, training | {"warnings": len(warnings)}, warnings)


def _mapping(path: Path, parse: Any) -> Mapping[str, Any]:
    try:
        value = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not isinstance(value, Mapping):
        raise DataError(f"{path}: holds no mapping")
    return value


def _sides(folder: Path, name: str) -> dict[str, BeforeAfter]:
    paths = [folder / f"{name}.{when}.jsonl" for when in ("before", "after")]
    try:
        before, after = (unit_sets(read_rows(path)) for path in paths)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder / name}: predictions cannot be read ({error})") from error
    return {subset: BeforeAfter(before[subset], units) for subset, units in after.items() if subset in before}


def _training(
    metrics_log: Sequence[Mapping[str, Any]], report: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, float]:
    first, last = probe_ends(metrics_log) or ({}, {})
    health = report.get("training", {}).get("health", {})
    found = {
        "steps": max((row["step"] for row in metrics_log if "step" in row), default=None),
        "seconds": report.get("timing", {}).get("post-train"),
        "learning_rate": config.get("train", {}).get("learning_rate"),
        "margin": last.get("margin"),
        "saturation": last.get("saturation"),
        "repetition": health.get("repetition", {}).get("last"),
    }
    if "logp_clean" in first.keys() & last.keys():
        found["drift"] = last["logp_clean"] - first["logp_clean"]
    return {name: value for name, value in found.items() if isinstance(value, int | float)}
