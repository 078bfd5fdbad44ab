"""Evaluation of any model on benchmarks under any views, without a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spa3d.artifacts.predictions import PredictionRow
from spa3d.contracts.benchmark import Benchmark
from spa3d.contracts.dataset import Dataset
from spa3d.contracts.noise import Noise
from spa3d.errors import ConfigError, DataError
from spa3d.evaluation.evaluate import evaluate_benchmark
from spa3d.evaluation.question_sets import collect_questions
from spa3d.evaluation.summary import summarize_views
from spa3d.inference.predictor import Predictor
from spa3d.inference.prepared_clouds import PreparedClouds
from spa3d.inference.views import View, ViewEncoder, Views, built_in_views
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.registry import create
from spa3d.runtime.progress import Reporter, Silent
from spa3d.runtime.row_store import RowStore

ViewMaker = Callable[[ViewEncoder], View]
"""Makes a view of a model; the class of a view that takes nothing else is one."""


@dataclass(frozen=True)
class EvaluationSettings:
    """What is asked, and how.

    Attributes:
        split: the split that is reported.
        limit: at most so many questions per benchmark and subset; 0: all.
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
    """The answers of a model.

    Attributes:
        rows: by benchmark, one row per question and view.
        scores: by benchmark and view: score, interval, chance, number, and the paired change against ``clean``.

    """

    rows: Mapping[str, Sequence[PredictionRow]]
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]]


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
        benchmarks: names, benchmarks, or benchmarks by the names that the scores shall have.
        dataset: a name, or the dataset; its records are asked about.
        views: names of built-in views, or what makes one of your own.
        noise: a name, or the noise; makes the ``noised`` view.
        settings: what is asked, and how.
        reporter: where progress goes.

    Raises:
        ConfigError: no such view.
        RegistryError: no component of that name.
        DataError: nothing can be asked, or a cloud or text is not fit.

    """
    settings, reporter = settings or EvaluationSettings(), reporter or Silent()
    dataset = create("dataset", dataset) if isinstance(dataset, str) else dataset
    noise = create("noise", noise) if isinstance(noise, str) else noise
    named = _by_name(benchmarks)
    shown, names = _views(model, processor, dataset, views, noise)
    predictor = Predictor(model, processor, shown, batch_size=settings.batch_size, bf16=settings.bf16)
    rows: dict[str, list[PredictionRow]] = {}
    for name, benchmark in named.items():
        items = collect_questions(benchmark, dataset, split=settings.split, seed=settings.seed, limit=settings.limit)
        if not items:
            continue
        with reporter.track(len(items) * len(names), name) as advance:
            rows[name] = evaluate_benchmark(predictor, benchmark, items, names, split=settings.split, advance=advance)
    if not rows:
        raise DataError(f"split {settings.split!r} gives none of {', '.join(named)} a question")
    scores = {
        name: summarize_views(some, bootstrap=settings.bootstrap, seed=settings.seed) for name, some in rows.items()
    }
    return Evaluation(rows, scores)


def _by_name(benchmarks: Sequence[str | Benchmark] | Mapping[str, Benchmark]) -> Mapping[str, Benchmark]:
    """The benchmarks by name; one without a name is called by its class."""
    if isinstance(benchmarks, Mapping):
        return benchmarks
    named: dict[str, Benchmark] = {}
    for each in benchmarks:
        if isinstance(each, str):
            named[each] = create("benchmark", each)
        else:
            named[type(each).__name__] = each
    return named


def _views(
    model: Spa3dModel,
    processor: Spa3dProcessor,
    dataset: Dataset,
    views: Sequence[str | ViewMaker],
    noise: Noise | None,
) -> tuple[Views, list[str]]:
    """The views of the model, and the names of those that are asked for, in order."""
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
