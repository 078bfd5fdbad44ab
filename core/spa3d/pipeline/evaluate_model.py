"""Evaluation of a model on benchmarks under chosen views, without a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spa3d.artifacts.predictions import PredictionRow
from spa3d.contracts.benchmark import Benchmark
from spa3d.contracts.dataset import Dataset
from spa3d.contracts.noise import Noise
from spa3d.errors import ConfigError, DataError, contain_exit
from spa3d.evaluation.evaluate import evaluate_benchmark
from spa3d.evaluation.question_sets import collect_questions
from spa3d.evaluation.summary import summarize_views
from spa3d.inference.predictor import Predictor
from spa3d.inference.prepared_clouds import PreparedClouds
from spa3d.inference.views import View, ViewEncoder, Views, built_in_views
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.registry.create import create
from spa3d.runtime.progress import Reporter, SilentReporter
from spa3d.runtime.row_store import RowStore

ViewMaker = Callable[[ViewEncoder], View]
"""Function that makes a view of a model; also a view class without further arguments."""


@dataclass(frozen=True)
class EvaluationSettings:
    """Settings of an evaluation: questions, batches, intervals.

    Attributes:
        split: the evaluated split.
        limit: most questions per benchmark and subset; 0: all.
        seed: seed of questions and of resampling.
        batch_size: questions per forward.
        bf16: run under bfloat16 autocast.
        bootstrap: resamples behind each interval.

    """

    split: str = "test"
    limit: int = 0
    seed: int = 0
    batch_size: int = 64
    bf16: bool = False
    bootstrap: int = 2000


@dataclass(frozen=True)
class Evaluation:
    """Answers of a model, and their scores.

    Attributes:
        rows: by benchmark, one row per question and view.
        scores: by benchmark and view: score, interval, chance, number, further figures (``measures``), and the paired
            change against ``clean``.

    """

    rows: Mapping[str, Sequence[PredictionRow]]
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]]


@contain_exit()
def evaluate(
    model: Spa3dModel,
    processor: Spa3dProcessor,
    *,
    benchmarks: Sequence[str | Benchmark] | Mapping[str, Benchmark],
    dataset: str | Dataset,
    views: Sequence[str | ViewMaker] = ("clean", "blind"),
    noise: str | Noise | None = None,
    settings: EvaluationSettings | None = None,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Ask a model every question under every view.

    Args:
        model: on its device.
        processor: its processor.
        benchmarks: names, benchmarks, or a mapping from names in the scores to benchmarks.
        dataset: a name, or the dataset that the questions are about.
        views: names of built-in views, or functions that make other views.
        noise: a name, or the noise of the ``noised`` view.
        settings: of the evaluation.
        reporter: where progress goes.

    Raises:
        ConfigError: a view does not exist, or two benchmarks have the same name.
        RegistryError: there is no component with a given name.
        DataError: there is no question, or a cloud or text is invalid.
        PluginError: a component breaks its contract.

    """
    settings, reporter = settings or EvaluationSettings(), reporter or SilentReporter()
    dataset = create("dataset", dataset) if isinstance(dataset, str) else dataset
    noise = create("noise", noise) if isinstance(noise, str) else noise
    named = _name_benchmarks(benchmarks)
    shown, names = _make_views(model, processor, dataset, views, noise)
    predictor = Predictor(model, processor, shown, batch_size=settings.batch_size, bf16=settings.bf16)
    rows: dict[str, list[PredictionRow]] = {}
    for name, benchmark in named.items():
        items = collect_questions(benchmark, dataset, split=settings.split, seed=settings.seed, limit=settings.limit)
        if not items:
            continue
        with reporter.track(len(items) * len(names), name) as advance:
            rows[name] = evaluate_benchmark(predictor, benchmark, items, names, split=settings.split, advance=advance)
    if not rows:
        raise DataError(f"split {settings.split!r} has no question for any of {', '.join(named)}")
    scores = {
        name: summarize_views(some, bootstrap=settings.bootstrap, seed=settings.seed) for name, some in rows.items()
    }
    return Evaluation(rows, scores)


def _name_benchmarks(benchmarks: Sequence[str | Benchmark] | Mapping[str, Benchmark]) -> Mapping[str, Benchmark]:
    """Benchmarks by name; an object without a name gets the name of its class.

    Raises:
        ConfigError: two of them have the same name.

    """
    if isinstance(benchmarks, Mapping):
        return benchmarks
    named: dict[str, Benchmark] = {}
    for benchmark in benchmarks:
        name = benchmark if isinstance(benchmark, str) else type(benchmark).__name__
        if name in named:
            raise ConfigError(f"benchmarks: two are called {name!r}; give a mapping from names to benchmarks")
        named[name] = create("benchmark", name) if isinstance(benchmark, str) else benchmark
    return named


def _make_views(
    model: Spa3dModel,
    processor: Spa3dProcessor,
    dataset: Dataset,
    views: Sequence[str | ViewMaker],
    noise: Noise | None,
) -> tuple[Views, list[str]]:
    """Make the views of the model; returns them and the requested names, in order."""
    store = RowStore(None, (model.config.num_points, 6))
    clouds = PreparedClouds(dataset, processor, store, min_points=model.encoder.min_points, requested_by="the encoder")
    encoder = ViewEncoder(model, clouds)
    built_in = built_in_views(encoder, noise=noise)
    own = {id(view): view(encoder) for view in views if not isinstance(view, str)}
    names = [view if isinstance(view, str) else own[id(view)].name for view in views]
    shown = Views(encoder, [*built_in.values(), *own.values()])
    missing = [name for name in names if name not in shown]
    if missing:
        raise ConfigError(f"no view {missing[0]!r}; there are: {', '.join(shown)}")
    return shown, names
