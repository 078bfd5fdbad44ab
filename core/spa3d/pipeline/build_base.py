"""Builds a base, stage after stage: fresh parts, encoder stand-in, LLM pretraining, alignment, instruction tuning."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from spa3d.artifacts.metrics_log import Journal
from spa3d.config.settings import Part, StageSettings
from spa3d.config.stages import StageName, optimizer_steps, parts_trained, stages_of
from spa3d.contracts.dataset import Record
from spa3d.inference.views import Views
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.llm import make_llm
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.model.saving import save_model
from spa3d.model.special_tokens import point_tokens
from spa3d.pipeline.base import Base, part_hashes, place, plain
from spa3d.pipeline.caches import make_clouds, make_token_store
from spa3d.pipeline.parts import Assembly
from spa3d.runtime import distributed
from spa3d.runtime.atomic_files import write_whole
from spa3d.runtime.locks import wait_for
from spa3d.runtime.progress import Reporter
from spa3d.training.dataset import ConversationSampler, TrainingDataset, captions, instructions
from spa3d.training.examples import sft_example, tokenize_example
from spa3d.training.fit import fit
from spa3d.training.pretraining import EncoderPretraining, EncoderTrainer, LanguageTrainer, Targets, language_text
from spa3d.training.trainer import ObjectiveTrainer


class BaseBuilder:
    """Builds the base of a run, stage after stage; a killed build goes on where it stopped."""

    def __init__(self, assembly: Assembly, base: Base, records: Sequence[Record], reporter: Reporter) -> None:
        self.assembly, self.base, self.records, self.reporter = assembly, base, records, reporter
        self.config = assembly.config
        self.journal = Journal(base.folder / "metrics.jsonl")
        self.talk: ConversationSampler = instructions(assembly.dataset, self.config.base.seed)

    def build(self) -> None:
        """Make every stage that is not there yet."""
        self.base.folder.mkdir(parents=True, exist_ok=True)
        with exclusive(self.base.folder / "lock", self.reporter):
            distributed.first_only(self._describe)
            if self.base.there:
                return
            model, processor = self._fresh()
            for stage in stages_of(self.config):
                self._make(stage, model, processor)
            distributed.first_only(lambda: self._finish(model, processor))

    def _describe(self) -> None:
        write_whole(self.base.folder / "base.json", json.dumps(self.base.ingredients, indent=1, default=str))

    def _make(self, stage: StageName, model: Spa3dModel, processor: Spa3dProcessor) -> None:
        folder = self.base.folder / stage
        if (folder / "done.json").exists():
            self.reporter.stage(f"base: {stage}", "there")
            model.load_state_dict(load_file(folder / "weights.safetensors"), strict=False)
            return
        settings: StageSettings = getattr(self.config.base, stage)
        steps = optimizer_steps(settings, len(self.records))
        self.reporter.stage(f"base: {stage}", f"{steps} steps of {settings.batch_size}")
        trainer = self._trainer(stage, model, processor, settings)
        fit(
            trainer,
            stage=f"base.{stage}",
            settings=settings,
            steps=steps,
            folder=folder,
            seed=self.config.base.seed,
            device=self.assembly.device,
            bf16=self.assembly.bf16,
            journal=self.journal,
            reporter=self.reporter,
        )
        if stage != "instruct":
            distributed.first_only(lambda: self._keep(stage, model))

    def _keep(self, stage: StageName, model: Spa3dModel) -> None:
        """Keep what a stage trained until the base is finished."""
        folder = self.base.folder / stage
        parts = parts_trained(stage, getattr(self.config.base, stage))
        state = {name: value for name, value in model.state_dict().items() if name.startswith(prefixes(parts))}
        # Many LLMs tie their input and output embeddings: one tensor under two names, of which one is enough.
        twice = dict(model.named_parameters(remove_duplicate=False)).keys() - dict(model.named_parameters()).keys()
        save_file({name: state[name] for name in state.keys() - twice}, folder / "weights.safetensors")
        (folder / "done.json").write_text("{}", encoding="utf-8")
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)

    def _trainer(
        self, stage: StageName, model: Spa3dModel, processor: Spa3dProcessor, settings: StageSettings
    ) -> Callable[..., Any]:
        """The trainer of a stage, still without arguments, model and samples bound by `fit`."""
        total = optimizer_steps(settings, len(self.records)) * settings.batch_size
        stream = partial(TrainingDataset, self.records, total, self.config.base.seed)
        clouds = make_clouds(self.assembly, processor)
        if stage == "encoder":
            torch.manual_seed(self.config.base.seed)
            targets = Targets(self.records)
            module: nn.Module = EncoderPretraining(model.encoder, targets)
            bare = tokenize_example(processor, sft_example(captions), [])
            return partial(EncoderTrainer, clouds, targets, self.records, model=module, train_dataset=stream(bare))
        model.set_trained(*parts_trained(stage, settings))
        if stage == "llm":
            text = language_text(processor, self.talk, self.config.base.seed)
            pad = int(processor.tokenizer.pad_token_id)
            return partial(LanguageTrainer, pad, model=model, train_dataset=stream(text))
        talk = captions if stage == "align" else self.talk
        samples = stream(tokenize_example(processor, sft_example(talk), [("chosen", "cloud")], blind=self.config.blind))
        views = Views(model, clouds, make_token_store(self.assembly, model))
        return partial(ObjectiveTrainer, self.assembly.sft, views, model=model, train_dataset=samples)

    def _fresh(self) -> tuple[Spa3dModel, Spa3dProcessor]:
        """Model and processor before the first stage, a pure function of ``base.seed``.

        Each part begins at the seed anew: encoders that are compared meet the same LLM.
        """
        config, seed = self.config, self.config.base.seed
        torch.manual_seed(seed)
        encoder = self.assembly.make_encoder()
        self.assembly.load_weights(encoder)
        torch.manual_seed(seed)
        llm, tokenizer, ids = make_llm(config.llm, lambda: training_text(self.records, self.talk))
        torch.manual_seed(seed)
        projector = self.assembly.make_projector(encoder.dim, llm.config.hidden_size)
        described = Spa3dConfig(
            text_config=llm.config,
            encoder=self._entry("encoder"),
            projector=self._entry("projector"),
            num_points=self.assembly.num_points,
            up_axis=self.assembly.dataset.up_axis,
            point_ids=ids,
        )
        model = Spa3dModel(described, encoder, projector, llm)
        place(model, self.assembly.device)
        processor = Spa3dProcessor(
            tokenizer,
            num_point_tokens=model.num_point_tokens(),
            points=self.assembly.preparation(),
            conversation=config.llm.template,
            system=config.llm.system,
            point_tokens=point_tokens(config.llm),
            max_length=config.llm.max_length,
        )
        return model, processor

    def _entry(self, kind: str) -> dict[str, Any]:
        selection = getattr(self.config, kind)
        component = self.assembly.registry.get(kind, selection.component)
        origin = self.assembly.registry.origin(component)
        entry = {
            "name": component.name,
            "distribution": origin.distribution,
            "version": origin.version,
            "config": plain(selection.config),
        }
        return entry if origin.distribution else {**entry, "plugin": origin.plugin}

    def _finish(self, model: Spa3dModel, processor: Spa3dProcessor) -> None:
        save_model(model, processor, self.base.model_folder)
        (self.base.model_folder / "done.json").write_text(json.dumps({"hashes": part_hashes(model)}), encoding="utf-8")
        for stage in stages_of(self.config):
            shutil.rmtree(self.base.folder / stage, ignore_errors=True)


def prefixes(parts: Iterable[Part]) -> tuple[str, ...]:
    """What the names of the weights of `parts` begin with."""
    own = {"encoder": "encoder.", "projector": "projector.", "llm": "language_model.", "embeddings": "language_model."}
    return tuple(own[part] for part in parts)


def training_text(records: Sequence[Record], talk: ConversationSampler) -> Iterator[str]:
    """The text of the training split, for the tokenizer: captions, questions and answers."""
    for record in records:
        yield f"USER: ASSISTANT: {record.caption or ''}"
        for turn in talk(record, 0).rounds:
            yield f" {turn.question}"
            yield f" {turn.answer}"


@contextmanager
def exclusive(path: Path, reporter: Reporter) -> Iterator[None]:
    """Hold a lock file: two runs that want the same base build it once. The first process holds it for all."""
    if not distributed.is_first():
        yield
        return
    with path.open("w", encoding="utf-8") as file:
        wait_for(file, lambda: reporter.say(f"another run is building the base in {path.parent}; waiting for it"))
        yield
