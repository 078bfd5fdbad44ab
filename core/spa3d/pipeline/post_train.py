"""Post-training of the base with objective and noise, watched on a held-out slice."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.artifacts.run_folder import extend_passport
from spa3d.config.settings import StageSettings, TrainSettings
from spa3d.config.stages import optimizer_steps, trained_parts
from spa3d.contracts.dataset import Conversation, Record
from spa3d.contracts.objective import asks_for_pairs, asks_for_twins
from spa3d.data.preference_pairs import Pair
from spa3d.evaluation.training_health import missing_steps
from spa3d.inference.views import Views
from spa3d.model import adapters
from spa3d.model.modeling import Spa3dModel
from spa3d.model.precision import describe_precision, format_precision
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.saving import count_overflows, save_model
from spa3d.pipeline.base import load_base
from spa3d.pipeline.caches import Caches
from spa3d.pipeline.parts import Parts
from spa3d.pipeline.reference import ReferenceRequest, make_reference
from spa3d.runtime import distributed
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.progress import Reporter
from spa3d.runtime.rng import keyed_generator
from spa3d.training.arguments import TrainingJob
from spa3d.training.best_checkpoint import BestCheckpoint
from spa3d.training.dataset import ConversationSampler, TrainingDataset, instructions
from spa3d.training.examples import (
    TrainingExample,
    minimal_pair_example,
    preference_example,
    required_texts,
    sft_example,
    tokenize_example,
)
from spa3d.training.fit import fit
from spa3d.training.relevance import relevance_example
from spa3d.training.trainer import ObjectiveTrainer
from spa3d.training.watchdog import HeldOutWatchdog, WatchdogSettings

LOST = (
    "metrics.jsonl lacks the rows of {lost} steps of post-training, which cannot be made again: the curves and the "
    "course of training are incomplete, and a warning of the watchdog may be missing"
)


@dataclass(frozen=True)
class PostTrainingRecipe:
    """Recipe of a post-training: settings, seed and the stage before it.

    Attributes:
        train: settings of the stage.
        seed: seed of the order, the noise and fresh questions.
        blind: whether the model never gets a cloud.
        instruct: settings of instruction tuning; ``--train.fresh`` skips its epochs.

    """

    train: TrainSettings
    seed: int
    blind: bool
    instruct: StageSettings


class PostTraining:
    """Trains a base and saves the result below a run's folder.

    Args:
        recipe: settings and seed.
        parts: the run's components.
        caches: of the run.
        splits: the records of each split.
        output: the run's folder.
        reporter: where progress goes.

    """

    def __init__(
        self,
        recipe: PostTrainingRecipe,
        parts: Parts,
        caches: Caches,
        splits: Mapping[str, Sequence[Record]],
        output: Path,
        reporter: Reporter,
    ) -> None:
        self.recipe, self.parts, self.caches, self.splits = recipe, parts, caches, splits
        self.output, self.reporter = output, reporter
        self.metrics_log = MetricsLog(output / "metrics.jsonl")

    @property
    def done(self) -> bool:
        """Whether the trained model is saved."""
        return (self.folder / "done.json").exists()

    @property
    def folder(self) -> Path:
        """Folder of the trained model."""
        return self.output / "model"

    def load(self) -> tuple[Spa3dModel, Spa3dProcessor]:
        """Read the trained model back: what is measured is what was saved, bit for bit."""
        return load_base(self.folder, self.parts, self.caches.execution)

    def describe_losses(self, held_out: Sequence[Record]) -> list[str]:
        """Describe what the report of the finished training lacks; each note is a warning, too."""
        train = self.recipe.train
        steps = json.loads((self.folder / "done.json").read_text(encoding="utf-8"))["steps"]
        every = train.probe_every if held_out else 0
        lost = missing_steps(self.metrics_log.rows(), steps=steps, log_every=train.log_every, probe_every=every)
        notes = [LOST.format(lost=lost)] if lost else []
        for note in notes:
            self.reporter.warn(note)
        return notes

    def run(
        self,
        model: Spa3dModel,
        processor: Spa3dProcessor,
        *,
        pairs: Sequence[Pair] = (),
        held_out: Sequence[Record] = (),
    ) -> None:
        """Train `model` in place and save it under ``model/``.

        Args:
            model: the base.
            processor: its processor.
            pairs: the preference pairs, for an objective that needs rejected answers.
            held_out: records of the held-out slice of the watchdog; empty: no watchdog.

        Raises:
            DivergenceError: a loss, a weight or a held-out score is not finite; nothing is saved.

        """
        train, execution = self.recipe.train, self.caches.execution
        items, example = self._examples(pairs)
        steps = optimizer_steps(train, len(items))
        self.reporter.stage("post-train", f"{steps} steps of {self.parts.names['objective']}")
        let_train(model, train, seed=self.recipe.seed)
        self._report_precision(model)
        views = self._views(model, processor)
        texts = required_texts(self.parts.objective.needs, views)
        make = tokenize_example(processor, example, texts, blind=self.recipe.blind, truncate=train.truncate)
        for pair in pairs:  # raises the errors of all before the first step
            make(pair, 0)
        samples = TrainingDataset(items, steps * train.batch_size, self.recipe.seed, make)
        trainer = ObjectiveTrainer(
            TrainingJob("post-train", train, steps, self.output, self.recipe.seed, execution.device, execution.bf16),
            samples=samples,
            objective=self.parts.objective,
            views=views,
            reference=make_reference(
                self._reference_request(),
                views,
                samples,
                cache_dir=self.caches.reference,
                views_of=lambda other: self._views(other, processor),
                reporter=self.reporter,
            ),
        )
        taken = fit(trainer, self.metrics_log, self.reporter, self._watchdogs(views, held_out))
        self._save(model, processor, taken)

    def _views(self, model: Spa3dModel, processor: Spa3dProcessor) -> Views:
        return self.caches.views(model, processor, seed=self.recipe.seed, others=self.splits["train"])

    def _reference_request(self) -> ReferenceRequest:
        return ReferenceRequest(
            needs=self.parts.objective.needs,
            objective=self.parts.names["objective"],
            way=self.recipe.train.reference,
            bf16=self.caches.execution.bf16,
            batch_size=self.caches.execution.batch_size,
        )

    def _examples(self, pairs: Sequence[Pair]) -> tuple[Sequence[Any], Callable[[Any, int], TrainingExample]]:
        """Training records or pairs, and the function that makes an example of one."""
        needs, records, recipe, dataset = (
            self.parts.objective.needs,
            self.splits["train"],
            self.recipe,
            self.parts.dataset,
        )
        draw = partial(relevance_example, records=records, share=recipe.train.relevance_share, seed=recipe.seed)
        if asks_for_pairs(needs):
            return pairs, draw(preference_example, record_of=lambda pair: dataset.record(pair.record_id))
        conversation = self._conversations(len(records))
        if asks_for_twins(needs):
            share = recipe.train.twin_share
            example = minimal_pair_example(dataset, conversation, share=share, seed=recipe.seed)
        else:
            example = sft_example(conversation)
        return records, draw(example, record_of=lambda record: record)

    def _conversations(self, records: int) -> ConversationSampler:
        """Conversations of post-training: from the first epoch, or after the epochs of the base."""
        conversation = instructions(self.parts.dataset, self.recipe.seed)
        if not self.recipe.train.fresh:
            return conversation
        stage = self.recipe.instruct
        epochs = math.ceil(optimizer_steps(stage, records) * stage.batch_size / records)

        def later_conversation(record: Record, epoch: int) -> Conversation:
            return conversation(record, epoch + epochs)

        return later_conversation

    def _watchdogs(self, views: Views, records: Sequence[Record]) -> list[HeldOutWatchdog]:
        """The watchdog of a held-out slice; empty without `records`."""
        if not records:
            return []
        train = self.recipe.train
        example = sft_example(instructions(self.parts.dataset, 0))
        text = tokenize_example(views.encoder.processor, example, [("chosen", "cloud")], truncate=train.truncate)
        indices = keyed_generator("probe").permutation(len(records))[: train.probe_size]
        return [
            HeldOutWatchdog(
                views,
                [text(records[int(index)], 0) for index in sorted(indices)],
                WatchdogSettings(
                    every=train.probe_every,
                    batch_size=self.caches.execution.batch_size,
                    start=self.output / "probe.json",
                    early_stop=train.early_stop,
                ),
                metrics_log=self.metrics_log,
                warn=self.reporter.warn,
                best=BestCheckpoint(views.model, self.output / "best.safetensors") if train.keep == "best" else None,
            )
        ]

    def _report_precision(self, model: Spa3dModel) -> None:
        """Report data types of arithmetic and weights in the terminal and in the passport."""
        precision = describe_precision(model, bf16=self.caches.execution.bf16)
        self.reporter.say(f"precision: {format_precision(precision)}")

        def extend() -> None:
            extend_passport(self.output, precision=precision)

        distributed.run_in_first(extend)

    def _choose_dtype(self, model: Spa3dModel) -> torch.dtype:
        """Choose the requested data type, or float32 if it cannot hold every weight."""
        requested = self.recipe.train.save_dtype
        dtype: torch.dtype = getattr(torch, requested)
        beyond = count_overflows(model, dtype)
        if not beyond:
            return dtype
        self.reporter.warn(
            f"--train.save_dtype {requested}: {beyond} weights are larger than it can hold, so model/ is saved in "
            "float32"
        )
        return torch.float32

    def _save(self, model: Spa3dModel, processor: Spa3dProcessor, steps: int) -> None:
        """Write ``model/``, with merged adapters, and ``adapter/`` if there are any."""
        if adapters.has_adapters(model):
            distributed.run_in_first(partial(adapters.save, model, self.output / "adapter"))
            adapters.merge(model)

        def save() -> None:
            dtype = self._choose_dtype(model)
            extend_passport(self.output, saved_dtype=str(dtype).removeprefix("torch."))
            save_model(model, processor, self.folder, dtype=dtype)
            write_whole(self.folder / "done.json", json.dumps({"steps": steps}))

        distributed.run_in_first(save)


def let_train(model: Spa3dModel, settings: TrainSettings, *, seed: int) -> None:
    """Make the trained parts trainable; with a rank, the LLM through adapters.

    The card of a given base is dropped: it is about other weights.
    """
    model.documents = {}
    parts = trained_parts("post-train", settings)
    if settings.lora.rank:
        adapters.attach(model, parts, settings.lora, seed=seed)
    else:
        model.set_trained(*parts)
