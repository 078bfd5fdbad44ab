"""Evaluation of a model under chosen views, without a run; implements `spa3d.evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa3d.artifacts.evaluation_folder import EvaluationFolder
from spa3d.artifacts.predictions import PredictionRow
from spa3d.artifacts.workspace import Workspace
from spa3d.contracts.benchmark import Benchmark
from spa3d.contracts.dataset import Dataset
from spa3d.contracts.noise import Noise
from spa3d.errors import ConfigError, contain_exit
from spa3d.evaluation.samples import merge_samples
from spa3d.evaluation.scored_units import BLIND
from spa3d.evaluation.summary import summarize_views
from spa3d.inference.session import ModelSource, Session
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.pipeline.evaluated_model import EvaluatedModel, LoadedModel, SavedModel
from spa3d.pipeline.evaluation_report import write_evaluation
from spa3d.pipeline.evaluation_settings import EvaluationContent, EvaluationSettings, ViewMaker
from spa3d.pipeline.model_evaluation import ModelEvaluation
from spa3d.registry.create import create
from spa3d.runtime import distributed
from spa3d.runtime.disk_space import explain_full_disk
from spa3d.runtime.progress import Reporter, SilentReporter
from spa3d.runtime.shards import Shard

__all__ = ["Evaluation", "EvaluationSettings", "ViewMaker", "evaluate", "run_evaluation"]


@dataclass(frozen=True)
class Evaluation:
    """Answers of a model, and their scores.

    Attributes:
        rows: by benchmark, one row per question and view.
        scores: by benchmark and view: score, interval, chance, number, further figures (``measures``), and the paired
            change against ``clean``.
        folder: the folder of predictions and report; None without one.
        new: number of answers that the model gave in this process; the others were there before.
        missing: shards that are not done yet, as ``i/n``; there are no rows and scores while some are missing.

    """

    rows: Mapping[str, Sequence[PredictionRow]]
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]]
    folder: Path | None = None
    new: int = 0
    missing: tuple[str, ...] = ()


@contain_exit()
def evaluate(
    model: Spa3dModel | Session | ModelSource | str | Path,
    processor: Spa3dProcessor | None = None,
    *,
    benchmarks: Sequence[str | Benchmark] | Mapping[str, Benchmark],
    dataset: str | Dataset,
    views: Sequence[str | ViewMaker] = ("clean", "blind"),
    noise: str | Noise | None = None,
    settings: EvaluationSettings | None = None,
    output: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Ask a model every question under every view.

    Args:
        model: a model on its device, a session, or a saved model: its folder, or a `ModelSource` with its device. The
            answers of a saved model are kept in the workspace, so that nothing is asked twice.
        processor: of a model on its device; None with all others.
        benchmarks: names, benchmarks, or a mapping from names in the scores to benchmarks.
        dataset: a name, or the dataset that the questions are about.
        views: names of built-in views, or functions that make other views. A report also needs ``blind``.
        noise: a name, or the noise of the ``noised`` view and of contrastive decoding.
        settings: of the evaluation.
        output: folder of predictions and report; the same call continues it. None: nothing is written.
        reporter: where progress goes.

    Raises:
        ConfigError: a view does not exist, or two benchmarks have the same name.
        CheckpointError: the folder holds no finished model.
        RegistryError: there is no component with a given name.
        DataError: there is no question, or a cloud or text is invalid.
        OutputError: the folder has something else.
        PluginError: a component breaks its contract.

    """
    settings, workspace = settings or EvaluationSettings(), Workspace.from_environment()
    content = EvaluationContent(
        benchmarks=_name_benchmarks(benchmarks),
        dataset=create("dataset", dataset) if isinstance(dataset, str) else dataset,
        dataset_name=dataset if isinstance(dataset, str) else type(dataset).__name__,
        views=tuple(views) if output is None or BLIND in views else (*views, BLIND),
        noise=create("noise", noise) if isinstance(noise, str) else noise,
        noise_name=noise if isinstance(noise, str) else type(noise).__name__,
    )
    evaluated = _find_model(model, processor, settings, workspace)
    evaluation = ModelEvaluation(
        evaluated, content, settings, workspace, reporter or SilentReporter(), reads_training=output is not None
    )
    return run_evaluation(evaluation, None if output is None else Path(output))


def run_evaluation(evaluation: ModelEvaluation, output: Path | None) -> Evaluation:
    """Ask the questions: alone, as one shard, or with the other processes of a launcher.

    Raises:
        OutputError: `output` has something else.
        SpaError: any other error of the input, as in `evaluate`.

    """
    settings, shard = evaluation.settings, evaluation.settings.shard
    evaluation.check()
    if shard.count > 1 and output is None:
        raise ConfigError("shard: give output, the folder in which the shards meet")
    distributed.join(cpu=evaluation.model.device.type == "cpu")
    if shard.count > 1 and distributed.world_size() > 1:
        raise ConfigError(f"--shard {shard}: the launcher already divides the questions; leave it out")
    evaluation.prepare()
    folder = EvaluationFolder(output, evaluation.request) if output else None
    if folder:
        distributed.run_in_first(folder.claim)
    with explain_full_disk(output or evaluation.workspace.folder):
        if distributed.world_size() > 1:
            own = Shard(distributed.rank() + 1, distributed.world_size())
            for answers in distributed.gather(lambda: evaluation.ask_part(own)):
                evaluation.log.remember(answers)
        elif folder and shard.count > 1:
            evaluation.log.export(folder.shard(shard), evaluation.ask_part(shard))
            missing = folder.list_missing(shard.count)
            if missing:
                return Evaluation({}, {}, folder.path, evaluation.new, missing)
            for number in range(shard.count):
                evaluation.log.read(folder.shard(Shard(number + 1, shard.count)))
        samples = evaluation.collect_rows()
        rows = {name: merge_samples([each[name] for each in samples]) for name in samples[0]}
        scores = {
            name: summarize_views(some, bootstrap=settings.bootstrap, seed=settings.seed) for name, some in rows.items()
        }
        if folder:
            distributed.run_in_first(lambda: write_evaluation(folder, evaluation, samples))
    return Evaluation(rows, scores, output, evaluation.new)


def _find_model(
    model: Spa3dModel | Session | ModelSource | str | Path,
    processor: Spa3dProcessor | None,
    settings: EvaluationSettings,
    workspace: Workspace,
) -> EvaluatedModel:
    if isinstance(model, str | Path | ModelSource | Session):
        if processor is not None:
            raise ConfigError("processor: a saved model and a session have one; leave it out")
        if isinstance(model, Session):
            return LoadedModel(model)
        return SavedModel(model if isinstance(model, ModelSource) else ModelSource(model), workspace)
    if processor is None:
        raise ConfigError("processor: give that of the model, as spa3d.load returns it")
    return LoadedModel(Session(model, processor, bf16=settings.bf16))


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
