"""The input doctor: examines a cloud or a data set, beside what a model expects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from spa3d.config.resolve import load_registry_of, resolve
from spa3d.config.settings import RunConfig
from spa3d.config.sources import Settings, read_source
from spa3d.contracts.dataset import Dataset
from spa3d.data.doctor.cloud_findings import FEW_POINTS, judge_cloud, judge_up_axis
from spa3d.data.doctor.expectation import Expectation, judge_beside
from spa3d.data.doctor.facts import CloudFacts, measure
from spa3d.data.doctor.file_facts import survey_files
from spa3d.data.doctor.findings import Finding, sort_findings
from spa3d.data.doctor.repairs import select
from spa3d.data.doctor.reports import CloudReport, DatasetReport
from spa3d.data.doctor.rows import finite_rows
from spa3d.data.doctor.set_facts import SampledCloud, survey
from spa3d.data.doctor.set_findings import judge_set
from spa3d.data.formats.contract import MESH_POINTS, Cloud, Reading
from spa3d.data.formats.read import parse_cloud
from spa3d.errors import DataError, OutputError, PluginError, contain_exit
from spa3d.evaluation.evaluate import evaluate_text_table, make_answer_table
from spa3d.evaluation.question_sets import collect_questions
from spa3d.evaluation.scored_units import MAJORITY, question_units
from spa3d.metrics.text_floor import TEXT_TABLE
from spa3d.pipeline.assemble import make_benchmarks, make_dataset
from spa3d.pipeline.expectations import find_expectation
from spa3d.pipeline.preview_clouds import find_clouds
from spa3d.registry.registry import Registry
from spa3d.rendering.cloud_views import draw_cloud_views
from spa3d.runtime.paths import folder_problem
from spa3d.runtime.progress import Reporter

CLOUDS = 1000
"""Clouds of a data set that are read."""
QUESTIONS = 2000
"""Questions of each benchmark that answers without clouds are scored on."""
DRAWN = 50_000
"""Points of a picture."""
FALLBACK = "folder"
"""Dataset of a folder that no other one recognizes."""


@dataclass(frozen=True)
class Examination:
    """How thoroughly something is examined.

    Attributes:
        model: a folder of a model, or the name of an encoder, whose expectations stand beside the findings; empty:
            none.
        count: number of clouds of a data set that are read; all texts are read.
        seed: of the choice of clouds, and of the points that estimates use.

    """

    model: str = ""
    count: int = CLOUDS
    seed: int = 0


def examine(
    path: str | Path | None = None,
    *,
    settings: Settings = MappingProxyType({}),
    examination: Examination = Examination(),
    registry: Registry | None = None,
    reporter: Reporter | None = None,
) -> CloudReport | DatasetReport:
    """Examine a cloud, or a data set, without changing it.

    Args:
        path: a file of a cloud, or a folder of a data set; None: the dataset of the settings.
        settings: settings of a run that choose a dataset; they belong to a folder, or stand for it.
        examination: how thoroughly.
        registry: source of the components; None: registry.yaml and the installed plugins.
        reporter: where progress goes; None: nowhere.

    Raises:
        DataError: the file cannot be read, or no dataset knows the folder.
        SpaError: the settings are wrong, or there is no such model.

    """
    source = read_source(settings)
    registry = registry or load_registry_of(source)
    if path is not None and folder_problem(path):
        return examine_cloud(path, examination, registry)
    chosen = {} if path is None else choose_dataset(Path(path), registry)
    named = {"dataset": source.names["dataset"].name} if "dataset" in source.names else {}
    config = resolve({**chosen, **named}, source, registry=registry)
    return examine_dataset(config, registry, examination, reporter=reporter)


def examine_cloud(path: str | Path, examination: Examination, registry: Registry) -> CloudReport:
    """Examine a cloud from a file; raises `DataError` if it cannot be read.

    From a mesh as many points are drawn as the model takes, and not so few that a finding is about the drawing.
    """
    expected = find_expectation(examination.model, registry) if examination.model else None
    count = expected.preparation.count if expected else 0
    return judge(
        read_unchecked(path, count=max(count, FEW_POINTS) if count else MESH_POINTS), expected, seed=examination.seed
    )


def read_unchecked(path: str | Path, *, count: int = MESH_POINTS) -> Cloud:
    """Read a cloud without checking it; colors stay as in the file."""
    return parse_cloud(path, Reading(count=count))


def judge(cloud: Cloud, expected: Expectation | None = None, *, seed: int = 0) -> CloudReport:
    """Measure a cloud and judge it, beside what a model expects."""
    facts = measure(cloud, seed=seed)
    findings = [*judge_cloud(facts)]
    if facts.valid and facts.radius > 0:
        findings += judge_up_axis(facts) if expected is None else judge_beside(facts, expected)
    return CloudReport(sort_findings(_drop_repeated(findings)), expected, facts)


def _drop_repeated(findings: list[Finding]) -> list[Finding]:
    """Leave out what a finding about the model says more exactly."""
    if any(finding.kind == "model-no-color" for finding in findings):
        return [finding for finding in findings if finding.kind != "no-color"]
    return findings


def choose_dataset(root: Path, registry: Registry) -> dict[str, str]:
    """The settings of the dataset that recognizes a folder; else those of `FALLBACK`.

    Raises:
        DataError: there is no such folder, or no dataset for it.

    """
    problem = folder_problem(root)
    if problem:
        raise DataError(f"{root}: cannot be read: {problem}.")
    rows = [row for row in registry.components("dataset") if not registry.describe_unmet(row)]
    targets = {row.name: registry.target(row) for row in rows}
    names = [name for name, target in targets.items() if target.recognizes(root)]
    names = names or [name for name in targets if name == FALLBACK]
    if not names:
        raise DataError(
            f"{root}: no dataset has this layout; possible: {', '.join(targets)}; name one with --dataset NAME "
            "--dataset.FIELD VALUE"
        )
    return {"dataset": names[0], "dataset.root": str(root)}


@contain_exit()
def examine_dataset(
    config: RunConfig, registry: Registry, examination: Examination, *, reporter: Reporter | None = None
) -> DatasetReport:
    """Examine the dataset of a run's configuration.

    The clouds of a folder of any files are examined alone if it is no data set yet.

    Raises:
        SpaError: there is no such dataset, and no cloud.

    """
    expected = find_expectation(examination.model, registry) if examination.model else None
    sampling = {"count": examination.count, "seed": examination.seed}
    floors = dict[str, dict[str, float]]()
    try:
        dataset = make_dataset(config.model_copy(update={"on_bad_data": "skip"}), registry)
        facts = survey(dataset, config.dataset.requested, **sampling, reporter=reporter)
        floors = _measure_floors(config, registry, dataset)
    except DataError as error:
        selection = config.dataset
        files = find_clouds([Path(selection.config["root"])]) if selection.component == FALLBACK else []
        if not files:
            raise
        facts = survey_files(files, str(error), **sampling, reporter=reporter)
    if expected:
        facts.clouds = [_judge_sampled(each, expected) for each in facts.clouds]
    return DatasetReport(sort_findings([*judge_set(facts, floors)]), expected, facts, floors)


def _judge_sampled(cloud: SampledCloud, expected: Expectation) -> SampledCloud:
    """Add the findings beside a model; what is up is judged for the whole data set."""
    more = [finding for finding in judge_beside(cloud.facts, expected) if finding.kind != "model-up-axis"]
    return replace(cloud, findings=tuple(_drop_repeated([*cloud.findings, *more])))


def _measure_floors(config: RunConfig, registry: Registry, dataset: Dataset) -> dict[str, dict[str, float]]:
    """Scores of the training text alone, by benchmark with questions about the reported split."""
    split, floors = config.evaluate.split, dict[str, dict[str, float]]()
    try:
        if not {"train", split} <= {*dataset.splits} or not (dataset.records("train") and dataset.records(split)):
            return {}
        table = make_answer_table(dataset)
        for name, benchmark in make_benchmarks(config, registry).items():
            every = collect_questions(benchmark, dataset, split=split, seed=config.evaluate.seed, limit=QUESTIONS)
            items = [item for item in every if item.subset == "test"]
            if not items:
                continue
            units = question_units(evaluate_text_table(table, benchmark, items, split=split))
            values = {source: float(units.values[source].mean()) for source in (TEXT_TABLE, MAJORITY)}
            floors[name] = {"questions": len(items), "chance": float(units.chance.mean()), **values}
    except (DataError, PluginError) as error:
        dataset.skip_log.add(f"no scores without clouds: {error}")
    return floors


def draw_cloud(cloud: Cloud, report: CloudReport, path: Path) -> None:
    """Draw a cloud from four sides; raises `OutputError` if the file cannot be written."""
    finite = select(cloud, finite_rows(cloud))
    if not len(finite) or not report.facts.radius > 0:
        raise OutputError(f"{path}: nothing to draw, for the cloud has no extent")
    few = select(finite, np.linspace(0, len(finite) - 1, min(DRAWN, len(finite))).astype(np.int64))
    colors = np.zeros((len(few), 3)) if few.colors is None else _show_colors(few.colors, report.facts)
    extent = " by ".join(f"{edge:.4g}" for edge in report.facts.extent)
    lines = [f"{report.facts.source}: {report.facts.points:,} points, {extent}"]
    lines += [f"{finding.severity}: {finding.seen}" for finding in report.findings]
    try:
        draw_cloud_views(np.concatenate([few.points, colors], axis=1), lines, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another file") from error


def _show_colors(colors: np.ndarray, facts: CloudFacts) -> np.ndarray:
    """Colors for a picture: scaled from the range that they seem to have."""
    measured = facts.colors
    if measured is None or measured.range in ("outside", "black"):
        return np.zeros_like(colors)
    ranges = {"0-255": (0, 255), "0-65535": (0, 65535), "-1-1": (-1, 1), "dark": (0, 1 / 255)}
    signed = measured.range == "normals" and not measured.valid
    low, high = (-1, 1) if signed else ranges.get(measured.range, (0, 1))
    return np.clip((colors - low) / (high - low), 0, 1)
