"""What a planned comparison could see, and what a wanted effect needs: questions and seeds.

The variance of a paired difference comes from a *pilot*: finished cells of a comparison, or a finished run (the change
by its post-training). Without a pilot it is assumed (`spa3d.metrics.sample_size.assume_variance`). Questions are those
of the benchmarks on the dataset; no model is loaded.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from spa3d.comparison.cells import Cell, Outcome, Row, Task, read_outcome
from spa3d.comparison.document import BenchmarkSubset, Table
from spa3d.comparison.results import QuestionValues, read_cell
from spa3d.comparison.scores import average_over_seeds
from spa3d.comparison.table import Results, read_results
from spa3d.errors import DataError
from spa3d.evaluation.question_sets import EvaluationItem, collect_questions
from spa3d.metrics.paired_tests import detectable_effect
from spa3d.metrics.sample_size import PairedVariance, assume_variance, estimate_variance
from spa3d.pipeline.assemble import assemble, make_execution
from spa3d.registry.registry import Registry
from spa3d.runtime.text_files import read_text


@dataclass(frozen=True)
class PlannedPower:
    """Power of a planned comparison on one set of questions.

    Attributes:
        subset: benchmark and set.
        questions: number of planned questions (flip: of pairs).
        groups: number of groups of look-alike records among them.
        seeds: number of planned seeds.
        comparisons: number of comparisons of the table, for Holm's correction.
        variance: variance of a difference.
        basis: where the variance comes from; empty if it is assumed.

    """

    subset: BenchmarkSubset
    questions: int
    groups: int
    seeds: int
    comparisons: int
    variance: PairedVariance
    basis: str

    @property
    def sees(self) -> float:
        """Minimum detectable effect of one comparison alone."""
        return detectable_effect(self.variance.error(self.questions, self.seeds))

    @property
    def sees_corrected(self) -> float:
        """Minimum detectable effect among all comparisons of the table."""
        return detectable_effect(self.variance.error(self.questions, self.seeds), comparisons=self.comparisons)

    def seeds_needed(self, effect: float) -> int | None:
        """Number of seeds that see `effect` alone; None if no number is enough."""
        return self.variance.seeds_needed(effect, self.questions)


def plan_power(tasks: Sequence[Task], registry: Registry, *, pilot: Path | None = None) -> list[PlannedPower]:
    """Compute the power of a planned comparison on each of its sets of questions.

    Args:
        tasks: cells of the comparison; the questions are those of the first one.
        registry: source of its components.
        pilot: folder of another comparison or of a run; None: the finished cells.

    Raises:
        DataError: there is no result in `pilot`.

    """
    planned = _collect_groups(tasks[0], registry)
    rows = {task.cell.row.label for task in tasks if task.cell.row.control not in ("", task.cell.row.label)}
    bootstrap = tasks[0].config.evaluate.bootstrap
    measured = _read_pilot(pilot, bootstrap) if pilot else _measure_cells(_read_tasks(tasks), bootstrap)
    seeds = len({task.cell.seed for task in tasks})
    powers = []
    for subset, groups in planned.items():
        variance, basis = measured.get(subset) or (assume_variance(groups), "")
        size = len(groups), len(set(groups))
        powers.append(PlannedPower(subset, *size, seeds, max(1, len(rows) * len(planned)), variance, basis))
    return powers


Pilot = Mapping[BenchmarkSubset, tuple[PairedVariance, str]]
"""By set of questions the variance of a difference, and where it comes from."""


def _collect_groups(task: Task, registry: Registry) -> dict[BenchmarkSubset, list[str]]:
    """Collect the group of each planned question, by set."""
    config, groups = task.config, defaultdict[BenchmarkSubset, list[str]](list)
    parts = assemble(config, registry, make_execution(config, registry))
    for name, benchmark in parts.benchmarks.items():
        settings = config.evaluate
        items = collect_questions(
            benchmark, parts.dataset, split=settings.split, seed=settings.seed, limit=settings.limit
        )
        for subset, group in _list_groups(items):
            groups[name, subset].append(group)
    return dict(groups)


def _list_groups(items: Sequence[EvaluationItem]) -> Iterator[tuple[str, str]]:
    """List set and group of each question and minimal pair (the first of its two groups)."""
    pairs: dict[str, str] = {}
    for item in items:
        if item.pair_id is None:
            yield item.subset, item.group
        else:
            pairs[item.pair_id] = min(item.group, pairs.get(item.pair_id, item.group))
    for group in pairs.values():
        yield "flip", group


def _read_tasks(tasks: Sequence[Task]) -> Results:
    return read_results([read_outcome(task) for task in tasks])


def _read_pilot(folder: Path, bootstrap: int) -> Pilot:
    """Read the variances of a comparison, or of a run."""
    if (folder / "compare.json").is_file():
        measured = _measure_cells(read_results(_read_outcomes(folder)), bootstrap)
    elif (folder / "report.json").is_file():
        result = read_cell(Cell(Row("pilot", {}), 0, 0, folder), None)
        measured = {
            subset: _measure([sides.change()], subset, bootstrap, f"change by post-training in {folder}")
            for subset, sides in result.sets.items()
        }
    else:
        raise DataError(f"--pilot {folder}: has neither a compare.json nor a report.json; give a comparison or a run")
    if not measured:
        raise DataError(f"--pilot {folder}: none of its rows has a finished control with the same seed")
    return measured


def _read_outcomes(folder: Path) -> list[Outcome]:
    """Read the cells of another comparison from its table."""
    path = folder / "compare.json"
    try:
        table = Table.model_validate(json.loads(read_text(path)))
    except (ValueError, ValidationError) as error:
        raise DataError(f"{path}: is no table of a comparison ({error})") from error
    return [
        Outcome(
            Cell(Row(row.label, row.settings, row.role, row.control), cell.seed, cell.index, folder / cell.folder),
            cell.status,
        )
        for row in table.rows
        for cell in row.cells
    ]


def _measure_cells(results: Results, bootstrap: int) -> Pilot:
    """Measure the variances against the controls; of several rows the largest counts."""
    measured: dict[BenchmarkSubset, tuple[PairedVariance, str]] = {}
    for row in results.rows:
        for subset in results.subsets:
            control = results.control(row, subset)
            columns = [
                sides.score(sides.after).subtract(other.score(other.after))
                for seed, cell in results.measured[row.label].items()
                if (sides := cell.sets.get(subset)) and seed in control and (other := control[seed].sets.get(subset))
            ]
            if columns:
                estimate = _measure(columns, subset, bootstrap, f"{row.label} against {row.control}")
                known = measured.get(subset)
                if known is None or estimate[0].error(1, 1) > known[0].error(1, 1):
                    measured[subset] = estimate
    return measured


def _measure(
    columns: Sequence[QuestionValues], subset: BenchmarkSubset, bootstrap: int, origin: str
) -> tuple[PairedVariance, str]:
    """Measure a variance from the questions that all seeds of a pilot have."""
    ids = set(average_over_seeds(columns).ids.tolist())
    masks = [[name in ids for name in column.ids.tolist()] for column in columns]
    values = [column.values[mask] for column, mask in zip(columns, masks, strict=True)]
    groups = columns[0].groups[masks[0]]
    variance = estimate_variance(values, groups, resamples=bootstrap, key=("pilot", *subset))
    seeds = f"{len(columns)} seed{'s' * (len(columns) > 1)}"
    return variance, f"{origin}, {seeds}, {len(groups):,} questions"
