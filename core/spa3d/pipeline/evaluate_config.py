"""Evaluation of a saved model with the settings of a run; what ``spa3d evaluate`` calls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from spa3d import ops
from spa3d.artifacts.hashing import digest
from spa3d.artifacts.workspace import Workspace
from spa3d.config.settings import RunConfig
from spa3d.errors import contain_exit
from spa3d.inference.contrast import Contrast
from spa3d.inference.generation import Decoding
from spa3d.inference.session import ModelSource
from spa3d.ops.selection import backends_for
from spa3d.pipeline.assemble import make_benchmarks, make_dataset, make_noise
from spa3d.pipeline.evaluate_model import Evaluation, run_evaluation
from spa3d.pipeline.evaluate_stage import choose_decoding
from spa3d.pipeline.evaluated_model import SavedModel
from spa3d.pipeline.evaluation_settings import EvaluationContent, EvaluationSettings
from spa3d.pipeline.model_evaluation import ModelEvaluation
from spa3d.registry.registry import Registry
from spa3d.runtime.progress import Reporter


@contain_exit()
def evaluate_config(
    source: ModelSource,
    config: RunConfig,
    registry: Registry,
    request: Mapping[str, Any],
    *,
    output: Path | None,
    reporter: Reporter,
) -> Evaluation:
    """Evaluate a saved model.

    Args:
        source: the model, and how to load it.
        config: its dataset, benchmarks, noise and block ``evaluate`` are used.
        registry: source of these components.
        request: ``views``, ``decoding`` and ``contrast`` as arguments of their classes, ``chosen`` (false: contrast as
            in `config`), ``samples`` and ``shard``.
        output: folder of predictions and report; None: one below ``runs/``, named by a hash of the request.
        reporter: where progress goes.

    Raises:
        SpaError: any error of the input; answers so far are kept.

    """
    if config.threads:
        torch.set_num_threads(config.threads)
    workspace = Workspace.from_environment()
    workspace.prepare()
    model, settings = SavedModel(source, workspace), _read_settings(config, request)
    dataset = make_dataset(config, registry)
    dataset.file_hashes = workspace.file_hashes(reporter)
    noised = "noised" in request["views"] or settings.decoding.contrast
    content = EvaluationContent(
        benchmarks=make_benchmarks(config, registry),
        dataset=dataset,
        dataset_name=config.dataset.requested,
        views=request["views"],
        noise=make_noise(config, registry) if noised else None,
        noise_name=config.noise.requested,
    )
    evaluation = ModelEvaluation(model, content, settings, workspace, reporter, reads_training=True)
    with ops.use(*backends_for(config.ops, model.device.type, registry)):
        return run_evaluation(evaluation, output or _default_folder(evaluation))


def _read_settings(config: RunConfig, request: Mapping[str, Any]) -> EvaluationSettings:
    evaluate = config.evaluate
    contrast = Contrast(**request["contrast"]) if request["contrast"] else None
    if not request["chosen"]:
        contrast = choose_decoding(evaluate).contrast
    return EvaluationSettings(
        split=evaluate.split,
        limit=evaluate.limit,
        seed=evaluate.seed,
        batch_size=evaluate.batch_size,
        bootstrap=evaluate.bootstrap,
        decoding=Decoding(**request["decoding"], seed=evaluate.seed, contrast=contrast),
        samples=request["samples"],
        cache=config.cache,
        cache_limit_gb=config.cache_limit_gb,
        calibration=evaluate.calibration,
        blind_run=evaluate.blind_run,
        shard=request["shard"],
    )


def _default_folder(evaluation: ModelEvaluation) -> Path:
    """A folder for this request alone, so that the same command finds it again."""
    name = f"evaluate-{evaluation.model.name}-{evaluation.content.dataset_name}-{digest(evaluation.request)[:8]}"
    return Path("runs") / name
