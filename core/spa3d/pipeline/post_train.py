"""Post-training: the base, the chosen objective, the chosen noise, and a watchdog on a held-out slice."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from spa3d.artifacts.metrics_log import Journal
from spa3d.config.settings import TrainSettings
from spa3d.config.stages import optimizer_steps, parts_trained
from spa3d.contracts.dataset import Conversation, Record
from spa3d.contracts.objective import asks_for_pairs, asks_for_twins
from spa3d.data.preference_pairs import Pair
from spa3d.inference.views import Views
from spa3d.model import adapters
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.saving import save_model
from spa3d.pipeline.base import load_base
from spa3d.pipeline.caches import make_views
from spa3d.pipeline.checks import Splits, held_out
from spa3d.pipeline.parts import Assembly
from spa3d.pipeline.reference import make_reference
from spa3d.runtime import distributed
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.progress import Reporter
from spa3d.runtime.rng import generator
from spa3d.training.best_checkpoint import Best
from spa3d.training.dataset import ConversationSampler, TrainingDataset, instructions
from spa3d.training.examples import (
    TrainingExample,
    minimal_pair_example,
    preference_example,
    sft_example,
    tokenize_example,
    wanted,
)
from spa3d.training.fit import fit
from spa3d.training.trainer import ObjectiveTrainer
from spa3d.training.watchdog import HeldOutWatchdog


def post_train(
    assembly: Assembly,
    model: Spa3dModel,
    processor: Spa3dProcessor,
    splits: Splits,
    output: Path,
    reporter: Reporter,
    *,
    pairs: Sequence[Pair] = (),
) -> Spa3dModel:
    """Train `model` in place and save it under ``output/model``; load that where it is there already.

    Args:
        assembly: of the run.
        model: the base.
        processor: its processor.
        splits: the records of each split.
        output: the run's folder.
        reporter: where progress goes.
        pairs: the preference pairs, for an objective that needs rejected answers.

    """
    folder, config = output / "model", assembly.config
    if (folder / "done.json").exists():
        reporter.stage("post-train", "there")
        return load_base(folder, assembly)[0]
    settings = config.train
    items, lesson = lessons(assembly, splits["train"], pairs)
    steps = optimizer_steps(settings, len(items))
    reporter.stage("post-train", f"{steps} steps of {config.objective.asked}")
    let_train(model, settings, seed=config.seed)
    views = make_views(assembly, model, processor, splits["train"])
    text = tokenize_example(processor, lesson, wanted(assembly.objective.needs), blind=config.blind)
    samples = TrainingDataset(items, steps * settings.batch_size, config.seed, text)
    reference = make_reference(assembly, model, views, samples, reporter)
    fit(
        partial(ObjectiveTrainer, assembly.objective, views, model=model, train_dataset=samples, reference=reference),
        stage="post-train",
        settings=settings,
        steps=steps,
        folder=output,
        seed=config.seed,
        device=assembly.device,
        bf16=assembly.bf16,
        journal=Journal(output / "metrics.jsonl"),
        reporter=reporter,
        callbacks=watchdogs(assembly, views, splits, output, reporter),
    )
    _save(model, processor, output, steps)
    return model


def _save(model: Spa3dModel, processor: Spa3dProcessor, output: Path, steps: int) -> None:
    """Write ``model/``, with the adapters merged into it, and ``adapter/`` where there are any."""
    if adapters.attached(model):
        distributed.first_only(lambda: adapters.save(model, output / "adapter"))
        adapters.merge(model)

    def save() -> None:
        save_model(model, processor, output / "model")
        write_whole(output / "model" / "done.json", json.dumps({"steps": steps}))

    distributed.first_only(save)


def let_train(model: Spa3dModel, settings: TrainSettings, *, seed: int) -> None:
    """Let the parts that post-training trains train, the LLM through adapters where there is a rank."""
    parts = parts_trained("post-train", settings)
    if settings.lora.rank:
        adapters.attach(model, parts, settings.lora, seed=seed)
    else:
        model.set_trained(*parts)


def lessons(
    assembly: Assembly, records: Sequence[Record], pairs: Sequence[Pair]
) -> tuple[Sequence[Any], Callable[[Any, int], TrainingExample]]:
    """What post-training goes through, records or pairs, and how one of them becomes a lesson."""
    config, needs = assembly.config, assembly.objective.needs
    if asks_for_pairs(needs):
        return pairs, preference_example
    talk = post_training_talk(assembly, len(records))
    if asks_for_twins(needs):
        return records, minimal_pair_example(assembly.dataset, talk, share=config.train.twin_share, seed=config.seed)
    return records, sft_example(talk)


def post_training_talk(assembly: Assembly, records: int) -> ConversationSampler:
    """The conversations of post-training: of the epochs that the base has seen, or of those that follow."""
    config = assembly.config
    talk = instructions(assembly.dataset, config.seed)
    if not config.train.fresh:
        return talk
    stage = config.base.instruct
    seen = math.ceil(optimizer_steps(stage, records) * stage.batch_size / records)

    def later(record: Record, epoch: int) -> Conversation:
        return talk(record, epoch + seen)

    return later


def watchdogs(
    assembly: Assembly, views: Views, splits: Splits, output: Path, reporter: Reporter
) -> list[HeldOutWatchdog]:
    """The held-out probe, where there is a val split to hold out and a cloud to look at."""
    records, settings = held_out(assembly, splits), assembly.config.train
    if not records:
        return []
    text = tokenize_example(
        views.clouds.processor, sft_example(instructions(assembly.dataset, 0)), [("chosen", "cloud")]
    )
    places = generator("probe").permutation(len(records))[: settings.probe_size]
    return [
        HeldOutWatchdog(
            views,
            [text(records[int(place)], 0) for place in sorted(places)],
            every=settings.probe_every,
            batch_size=assembly.config.evaluate.batch_size,
            start=output / "probe.json",
            journal=Journal(output / "metrics.jsonl"),
            warn=reporter.warn,
            early_stop=settings.early_stop,
            best=Best(views.model, output / "best.safetensors") if settings.keep == "best" else None,
        )
    ]
