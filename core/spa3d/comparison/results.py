"""Results of one finished cell, read from its folder: question scores and training figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.artifacts.predictions import read_rows
from spa3d.comparison.cells import Cell
from spa3d.comparison.document import BenchmarkSubset
from spa3d.errors import DataError
from spa3d.evaluation.scored_units import ScoredUnits, Values, unit_sets
from spa3d.evaluation.training_health import probe_ends
from spa3d.registry.plain_yaml import parse_yaml
from spa3d.runtime.text_files import read_text


@dataclass(frozen=True)
class QuestionValues:
    """One number per question of a cell, sorted by id; ``groups`` are the clusters of intervals."""

    ids: np.ndarray
    groups: np.ndarray
    values: Values

    @property
    def mean(self) -> float:
        """The mean over the questions."""
        return float(self.values.mean())

    def subtract(self, other: QuestionValues) -> QuestionValues:
        """Subtract, for the questions that both have."""
        ids, index, other_index = self._intersect(other)
        return QuestionValues(ids, self.groups[index], self.values[index] - other.values[other_index])

    def align(self, other: QuestionValues) -> tuple[Values, Values]:
        """Values of the questions that both have, in one order."""
        _, index, other_index = self._intersect(other)
        return self.values[index], other.values[other_index]

    def _intersect(self, other: QuestionValues) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.intersect1d(self.ids, other.ids, assume_unique=True, return_indices=True)


@dataclass(frozen=True)
class BeforeAfter:
    """One set of questions of one benchmark, before and after post-training."""

    before: ScoredUnits
    after: ScoredUnits

    def score(self, side: ScoredUnits) -> QuestionValues:
        """Score of each question, with the cloud if one was shown."""
        return QuestionValues(side.ids, side.groups, side.score_values)

    def gap(self, side: ScoredUnits) -> QuestionValues | None:
        """Score with the cloud minus score without it; None if no cloud was shown."""
        return None if side.clean is None else QuestionValues(side.ids, side.groups, side.clean - side.blind)

    def change(self) -> QuestionValues:
        """After minus before."""
        return self.score(self.after).subtract(self.score(self.before))

    def gap_change(self) -> QuestionValues | None:
        """Gap after minus gap before, each in [-2, 2]."""
        after, before = self.gap(self.after), self.gap(self.before)
        return None if after is None or before is None else after.subtract(before)


@dataclass(frozen=True)
class CellResult:
    """Results of a finished cell.

    Attributes:
        cell: the cell.
        sets: (benchmark, set) to the questions' scores, in reported order; a set is ``test``, ``counterfactual`` or
            ``flip``.
        training: name to number, see `TRAINING`; numbers that were not recorded are left out.
        warnings: messages of the watchdog.
        decoding: how answers were picked or written, as in the report; empty if it was not recorded.

    """

    cell: Cell
    sets: Mapping[BenchmarkSubset, BeforeAfter]
    training: Mapping[str, float]
    warnings: Sequence[str]
    decoding: Mapping[str, Any] = field(default_factory=dict)


TRAINING = {
    "steps": "optimizer steps of post-training",
    "seconds": "wall time of post-training",
    "learning_rate": "peak learning rate",
    "level": "noise level that was reached on the training clouds, mean over the logged steps",
    "margin": "log p of held-out answers, clean minus noised, nats per answer, of the final weights",
    "saturation": "share of held-out answers whose margin is so wide that the contrast has no effect, final weights",
    "drift": "log p of held-out answers on clean clouds, nats per token, of the final weights minus the base",
    "repetition": "share of repeated three-word sequences in free answers, after post-training",
    "warnings": "warnings of the watchdog",
}


def read_cell(cell: Cell, seconds: float | None) -> CellResult:
    """Read the results of a finished run from its folder.

    Args:
        cell: the cell whose folder is read.
        seconds: wall time of post-training; None: that of the report.

    Raises:
        DataError: a file is missing or malformed; the message names it.

    """
    folder = cell.folder
    report = _read_mapping(folder / "report.json", json.loads)
    config = _read_mapping(folder / "config.yaml", parse_yaml)
    metrics_log = [row for row in MetricsLog(folder / "metrics.jsonl").rows() if row.get("stage") == "post-train"]
    sets = {
        (name, subset): sides
        for name, block in report.get("benchmarks", {}).items()
        for subset, sides in _read_sets(folder, name, block).items()
    }
    if not sets:
        raise DataError(f"{folder / 'report.json'}: contains no benchmark with results")
    training = _collect_training(metrics_log, report, config) | ({} if seconds is None else {"seconds": seconds})
    warnings = [str(text) for text in report.get("training", {}).get("warnings", ())]
    return CellResult(cell, sets, training | {"warnings": len(warnings)}, warnings, report.get("decoding", {}))


def _read_mapping(path: Path, parse: Any) -> Mapping[str, Any]:
    try:
        value = parse(read_text(path))
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not isinstance(value, Mapping):
        raise DataError(f"{path}: contains no mapping")
    return value


def _read_sets(folder: Path, name: str, block: Mapping[str, Any]) -> dict[str, BeforeAfter]:
    """Read the sets of a benchmark; `block` has its figures and counts in the report."""
    sides = []
    for when in ("before", "after"):
        path = folder / "predictions" / f"{name}.{when}.jsonl"
        hint = f"remove {folder / 'report.json'} and repeat the command, and the cell asks again"
        try:
            sets = unit_sets(read_rows(path))
        except (DataError, ValueError, KeyError) as error:
            raise DataError(f"{path}: cannot be read ({error}); {hint}") from error
        figures = block.get(when, {})
        for subset, reported in {"test": figures, **figures}.items():
            expected = reported.get("n") if isinstance(reported, Mapping) and subset != "kinds" else None
            result = len(sets[subset].ids) if subset in sets else 0
            if expected is not None and result != expected:
                raise DataError(f"{path}: has {result} of the {expected} answers of the set {subset}; {hint}")
        sides.append(sets)
    before, after = sides
    return {subset: BeforeAfter(before[subset], units) for subset, units in after.items() if subset in before}


def _collect_training(
    metrics_log: Sequence[Mapping[str, Any]], report: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, float]:
    first, last = probe_ends(metrics_log) or ({}, {})
    levels = [row["noise_level"] for row in metrics_log if "noise_level" in row]
    health = report.get("training", {}).get("health", {})
    values = {
        "steps": max((row["step"] for row in metrics_log if "step" in row), default=None),
        "seconds": report.get("timing", {}).get("post-train"),
        "learning_rate": config.get("train", {}).get("learning_rate"),
        "level": float(np.mean(levels)) if levels else None,
        "margin": last.get("margin"),
        "saturation": last.get("saturation"),
        "repetition": health.get("repetition", {}).get("last"),
    }
    if "logp_clean" in first.keys() & last.keys():
        values["drift"] = last["logp_clean"] - first["logp_clean"]
    return {name: value for name, value in values.items() if isinstance(value, int | float)}
