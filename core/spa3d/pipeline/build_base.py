"""Builds a base: encoder and LLM pretraining, alignment, instruction tuning."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from spa3d.artifacts.metrics_log import MetricsLog
from spa3d.config.settings import LLMSettings, Part, StageSettings
from spa3d.config.stages import StageName, optimizer_steps, trained_parts
from spa3d.contracts.dataset import Record
from spa3d.inference.views import built_in_views
from spa3d.model.chat_templates import place_cloud
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.llm import make_llm, stop_ids
from spa3d.model.modeling import Spa3dModel
from spa3d.model.precision import describe_arithmetic, move_model, read_dtype
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.saving import save_model
from spa3d.model.special_tokens import point_tokens
from spa3d.pipeline.base import Base, part_hashes
from spa3d.pipeline.caches import Caches
from spa3d.pipeline.llm_trial import try_llm
from spa3d.pipeline.parts import Parts
from spa3d.pipeline.stages import Stage
from spa3d.runtime import distributed
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.locks import wait_for
from spa3d.runtime.progress import Reporter
from spa3d.training.arguments import TrainingJob
from spa3d.training.dataset import ConversationSampler, TrainingDataset, captions, instructions
from spa3d.training.examples import sft_example, tokenize_example
from spa3d.training.fit import fit
from spa3d.training.pretraining import EncoderPretraining, EncoderTrainer, LanguageTrainer, Targets, language_text
from spa3d.training.trainer import ObjectiveTrainer, StageTrainer


@dataclass(frozen=True)
class BaseRecipe:
    """Recipe of a base: its stages, LLM and seed.

    Attributes:
        stages: name and settings of each stage, in order.
        llm: settings of its LLM.
        seed: seed of all stages.
        blind: whether the model never gets a cloud.

    """

    stages: Sequence[tuple[StageName, StageSettings]]
    llm: LLMSettings
    seed: int
    blind: bool


class BaseBuilder:
    """Builds a base, stage after stage; a killed build resumes where it stopped.

    Args:
        base: the base to build; says where it is saved.
        recipe: stages, LLM and seed.
        parts: components of the run.
        caches: of the run.
        records: the training records.
        reporter: where progress goes.

    """

    def __init__(
        self,
        base: Base,
        recipe: BaseRecipe,
        parts: Parts,
        caches: Caches,
        records: Sequence[Record],
        reporter: Reporter,
    ) -> None:
        self.base, self.recipe, self.parts, self.caches = base, recipe, parts, caches
        self.records, self.reporter = records, reporter
        self.execution = caches.execution
        self.metrics_log = MetricsLog(base.folder / "metrics.jsonl")
        self.conversation: ConversationSampler = instructions(parts.dataset, recipe.seed)
        self._built: tuple[Spa3dModel, Spa3dProcessor] | None = None

    def stages(self) -> tuple[Stage, ...]:
        """The stages that make the base, in order."""
        return tuple(
            Stage(
                f"base: {name}",
                f"{optimizer_steps(settings, len(self.records))} steps, in {self.base.folder}",
                partial(self.base.done, name),
                partial(self._make, name, settings),
            )
            for name, settings in self.recipe.stages
        )

    def build(self) -> None:
        """Run every stage that is not finished."""
        self.base.folder.mkdir(parents=True, exist_ok=True)
        with _lock_file(self.base.folder / "lock", self.reporter):
            distributed.run_in_first(self._describe)
            if self.base.is_finished:
                return
            self._report_precision()
            for stage in self.stages():
                stage.run()
            distributed.run_in_first(self._finish)

    def model_and_processor(self) -> tuple[Spa3dModel, Spa3dProcessor]:
        """The model under construction and its processor; at first a pure function of the seed.

        The generator is seeded again before each part, so that runs with different encoders get the same LLM.
        """
        if self._built is None:
            self._built = self._create_model()
        return self._built

    def _report_precision(self) -> None:
        model, _ = self.model_and_processor()
        stored = f"LLM as stored {read_dtype(model.config.text_config)}, " if self.recipe.llm.path else ""
        arithmetic = describe_arithmetic(bf16=self.execution.bf16)
        self.reporter.say(f"precision: arithmetic {arithmetic}, {stored}trained weights float32")

    def _describe(self) -> None:
        write_whole(self.base.folder / "base.json", json.dumps(self.base.decisive, indent=1, default=str))

    def _make(self, stage: StageName, settings: StageSettings) -> None:
        model, processor = self.model_and_processor()
        model.set_trained(*trained_parts(stage, settings))
        folder = self.base.folder / stage
        if (folder / "done.json").exists():
            self.reporter.stage(f"base: {stage}", "there")
            model.load_state_dict(load_file(folder / "weights.safetensors"), strict=False)
            return
        steps = optimizer_steps(settings, len(self.records))
        execution, seed = self.execution, self.recipe.seed
        self.reporter.stage(f"base: {stage}", f"{steps} steps of {settings.batch_size}")
        job = TrainingJob(f"base.{stage}", settings, steps, folder, seed, execution.device, execution.bf16)
        fit(self._trainer(stage, job, model, processor), self.metrics_log, self.reporter)
        if stage != "instruct":
            distributed.run_in_first(lambda: self.keep(stage, settings))

    def keep(self, stage: StageName, settings: StageSettings) -> None:
        """Save the weights that a stage trained, until the base is finished."""
        model, _ = self.model_and_processor()
        folder = self.base.folder / stage
        parts = trained_parts(stage, settings)
        state = {name: value for name, value in model.state_dict().items() if name.startswith(prefixes(parts))}
        # Many LLMs tie input and output embeddings: one tensor under two names. It is saved under one.
        twice = dict(model.named_parameters(remove_duplicate=False)).keys() - dict(model.named_parameters()).keys()
        save_file({name: state[name] for name in state.keys() - twice}, folder / "weights.safetensors")
        (folder / "done.json").write_text("{}", encoding="utf-8")
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)

    def _trainer(
        self, stage: StageName, job: TrainingJob, model: Spa3dModel, processor: Spa3dProcessor
    ) -> StageTrainer:
        seed = self.recipe.seed
        records = with_clouds(self.records) if stage in ("encoder", "align") else self.records
        stream = partial(TrainingDataset, records, job.steps * job.settings.batch_size, seed)
        if stage == "encoder":
            torch.manual_seed(seed)
            targets = Targets(records)
            bare = tokenize_example(processor, sft_example(captions), [])
            return EncoderTrainer(
                job,
                model=EncoderPretraining(model.encoder, targets),
                samples=stream(bare),
                clouds=self.caches.clouds(processor),
                rows={record.id: targets.row(record) for record in records},
            )
        if stage == "llm":
            text = language_text(processor, self.conversation, seed)
            return LanguageTrainer(job, model=model, samples=stream(text), pad=processor.pad_id)
        conversation = captions if stage == "align" else self.conversation
        texts = tokenize_example(
            processor,
            sft_example(conversation),
            [("chosen", "cloud")],
            blind=self.recipe.blind,
            truncate=job.settings.truncate,
        )
        views = built_in_views(self.caches.encoder(model, processor))
        return ObjectiveTrainer(job, samples=stream(texts), objective=self.parts.sft, views=views)

    def _create_model(self) -> tuple[Spa3dModel, Spa3dProcessor]:
        parts, settings, seed = self.parts, self.recipe.llm, self.recipe.seed
        torch.manual_seed(seed)
        encoder = parts.make_encoder()
        parts.load_encoder_weights(encoder)
        torch.manual_seed(seed)
        llm, tokenizer, ids = make_llm(settings, lambda: training_text(self.records, self.conversation))
        torch.manual_seed(seed)
        projector = parts.make_projector(encoder.dim, llm.get_input_embeddings().embedding_dim)
        described = Spa3dConfig(
            text_config=llm.config,
            encoder=dict(parts.described["encoder"]),
            projector=dict(parts.described["projector"]),
            num_points=parts.num_points,
            up_axis=parts.dataset.up_axis,
            point_ids=ids,
        )
        model = Spa3dModel(described, encoder, projector, llm)
        move_model(model, self.execution.device, bf16=self.execution.bf16)
        processor = Spa3dProcessor(
            tokenizer,
            num_point_tokens=model.num_point_tokens(),
            points=dict(parts.preparation),
            conversation=settings.template,
            system=settings.system,
            point_tokens=point_tokens(settings),
            max_length=settings.max_length,
        )
        try_llm(model, processor, f"--llm {settings.path}" if settings.path else "the LLM")
        generation: Any = model.generation_config
        generation.eos_token_id, generation.pad_token_id = stop_ids(llm, *processor.stop_ids), processor.pad_id
        return model, processor

    def _finish(self) -> None:
        model, processor = self.model_and_processor()
        save_model(model, processor, self.base.model_folder)
        (self.base.model_folder / "done.json").write_text(json.dumps({"hashes": part_hashes(model)}), encoding="utf-8")
        for stage, _ in self.recipe.stages:
            shutil.rmtree(self.base.folder / stage, ignore_errors=True)


def prefixes(parts: Iterable[Part]) -> tuple[str, ...]:
    """Beginnings of the names of the weights of `parts`."""
    start_by_part = {
        "encoder": "encoder.",
        "projector": "projector.",
        "llm": "language_model.",
        "embeddings": "language_model.",
    }
    return tuple(start_by_part[part] for part in parts)


def with_clouds(records: Sequence[Record]) -> Sequence[Record]:
    """The records with a cloud: the others have text-only conversations alone."""
    kept = [index for index, record in enumerate(records) if record.has_cloud]
    return records if len(kept) == len(records) else [records[index] for index in kept]


def training_text(records: Sequence[Record], conversation: ConversationSampler) -> Iterator[str]:
    """The text of the training split, for the tokenizer: captions, questions and answers."""
    for record in records:
        yield f"USER: ASSISTANT: {record.caption or ''}"
        for turn in conversation(record, 0).rounds:
            yield f" {place_cloud(turn.question, '')}"
            yield f" {turn.answer}"


@contextmanager
def _lock_file(path: Path, reporter: Reporter) -> Iterator[None]:
    """Lock a file, so that two runs build the same base once. The first process locks for all."""
    if not distributed.is_first():
        yield
        return
    with path.open("w", encoding="utf-8") as file:
        wait_for(file, lambda: reporter.say(f"another run is building the base in {path.parent}; waiting for it"))
        yield
