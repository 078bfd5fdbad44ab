"""The base: the 3D LLM that post-training starts from. Built once per key, resumable stage by stage, shared by runs."""

from __future__ import annotations

import fcntl
import inspect
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from spa3d import auto as auto
from spa3d import ranks
from spa3d.assemble import Assembly
from spa3d.caches import bases_folder, make_clouds, make_token_store
from spa3d.config import Part, RunConfig, StageSettings
from spa3d.contracts.dataset import Record
from spa3d.errors import CheckpointError
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.llm import make_llm, point_tokens
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.passport import differences, digest, hash_sources, hash_weights
from spa3d.progress import Reporter
from spa3d.training.fit import fit
from spa3d.training.journal import Journal
from spa3d.training.pretrain import EncoderPretraining, EncoderTrainer, LanguageTrainer, Targets, language_text
from spa3d.training.samples import SampleStream, Talk, captions, instructions, tokenised
from spa3d.training.trainer import ObjectiveTrainer, optimiser_steps
from spa3d.training.views import Views

StageName = Literal["encoder", "llm", "align", "instruct"]


USUAL: dict[str, tuple[Part, ...]] = {
    "encoder": ("encoder",),
    "llm": ("llm",),
    "align": ("projector",),
    "instruct": ("projector", "llm"),
    "post-train": ("projector", "llm"),
}
"""The parts that each stage trains unless told otherwise."""


def parts_trained(stage: str, settings: StageSettings) -> tuple[Part, ...]:
    """The parts that train in `stage`; all others are frozen and stay in eval mode."""
    return settings.train or USUAL[stage]


def stages_of(config: RunConfig) -> list[StageName]:
    """The stages that make this base, in order."""
    if config.base.path:
        return []
    stages: list[StageName] = [] if config.blind else ["encoder"]
    stages += [] if config.llm.path else ["llm"]
    stages += [] if config.blind else ["align"]
    return [*stages, "instruct"]


def ingredients(assembly: Assembly) -> dict[str, Any]:
    """Everything that decides what the base is; its hash is the base's key."""
    config = assembly.config
    stages = {name: getattr(config.base, name).model_dump() for name in stages_of(config)}
    for stage in stages.values():
        stage.pop("save_every"), stage.pop("log_every")
    return {
        "encoder": config.encoder.model_dump(include={"component", "config"}),
        "projector": config.projector.model_dump(include={"component", "config"}),
        "llm": config.llm.model_dump(),
        "points": config.points.model_dump(),
        "stages": stages,
        "seed": config.base.seed,
        "blind": config.blind,
        "data": assembly.dataset.fingerprint(),
        "device": assembly.device.type,
        "bf16": assembly.bf16,
        "sources": hash_sources(assembly.sources()),
    }


@dataclass(frozen=True)
class Base:
    """A base on disk.

    Attributes:
        folder: its folder: ``model/``, ``metrics.jsonl``, ``base.json``.
        key: hash of its ingredients.

    """

    folder: Path
    key: str

    @property
    def model_folder(self) -> Path:
        """Where the finished 3D LLM is."""
        inner = self.folder / "model"
        return self.folder if (self.folder / "config.json").exists() else inner

    @property
    def there(self) -> bool:
        """Whether it is finished."""
        return (self.model_folder / "done.json").exists()

    def done(self, stage: str) -> bool:
        """Whether `stage` is finished."""
        return self.there or (self.folder / stage / "done.json").exists()


def locate(assembly: Assembly) -> Base:
    """The base of this run, finished or not."""
    path = assembly.config.base.path
    if path:
        base = Base(Path(path), digest(str(Path(path).resolve())))
        if not (base.model_folder / "config.json").exists():
            raise CheckpointError(
                f"--base {path}: no 3D LLM there (config.json is missing); give the model/ folder of a run, or leave "
                f"--base out to build one"
            )
        return base
    key = digest(ingredients(assembly))
    return Base(bases_folder() / key, key)


def nearest_difference(assembly: Assembly) -> list[str]:
    """What keeps the most similar finished base from being this run's: lines ``key: theirs → ours``."""
    ours, found = ingredients(assembly), []
    for path in bases_folder().glob("*/base.json"):
        try:
            lines = differences(json.loads(path.read_text(encoding="utf-8")), json.loads(json.dumps(ours, default=str)))
        except json.JSONDecodeError:
            continue
        found.append(lines)
    return min(found, key=len, default=[])


def load_base(folder: Path, assembly: Assembly) -> tuple[Spa3dModel, Spa3dProcessor]:
    """Load a finished 3D LLM with this run's registry, plugins and device."""
    config = Spa3dConfig.from_pretrained(folder)
    asked = assembly.config.encoder
    if config.encoder["name"] != asked.component or config.encoder["config"] != _plain(asked.config):
        lines = differences(config.encoder["config"], _plain(asked.config)) or [
            f"name: {config.encoder['name']!r} → {asked.component!r}"
        ]
        raise CheckpointError(
            f"the base in {folder} was made with another encoder ({'; '.join(lines)}); "
            f"choose that encoder, or leave --base out to build a base for {asked.asked}"
        )
    encoder = assembly.make_encoder()
    projector = assembly.make_projector(encoder.dim, config.text_config.hidden_size)
    model = Spa3dModel.from_pretrained(folder, config=config, encoder=encoder, projector=projector)
    place(model, assembly.device)
    return model.eval(), Spa3dProcessor.from_pretrained(folder)


class BaseBuilder:
    """Builds the base of a run, stage after stage; a killed build goes on where it stopped."""

    def __init__(self, assembly: Assembly, base: Base, records: Sequence[Record], reporter: Reporter) -> None:
        self.assembly, self.base, self.records, self.reporter = assembly, base, records, reporter
        self.config = assembly.config
        self.journal = Journal(base.folder / "metrics.jsonl")
        self.talk: Talk = instructions(assembly.dataset, self.config.base.seed)

    def build(self) -> None:
        """Make every stage that is not there yet."""
        self.base.folder.mkdir(parents=True, exist_ok=True)
        with exclusive(self.base.folder / "lock", self.reporter):
            ranks.first_only(self._describe)
            if self.base.there:
                return
            model, processor = self._fresh()
            for stage in stages_of(self.config):
                self._make(stage, model, processor)
            ranks.first_only(lambda: self._finish(model, processor))

    def _describe(self) -> None:
        text = json.dumps(ingredients(self.assembly), indent=1, default=str)
        (self.base.folder / "base.json").write_text(text, encoding="utf-8")

    def _make(self, stage: StageName, model: Spa3dModel, processor: Spa3dProcessor) -> None:
        folder = self.base.folder / stage
        if (folder / "done.json").exists():
            self.reporter.stage(f"base: {stage}", "there")
            model.load_state_dict(load_file(folder / "weights.safetensors"), strict=False)
            return
        settings: StageSettings = getattr(self.config.base, stage)
        steps = optimiser_steps(settings, len(self.records))
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
            ranks.first_only(lambda: self._keep(stage, model))

    def _keep(self, stage: StageName, model: Spa3dModel) -> None:
        """Keep what a stage trained until the base is finished."""
        folder = self.base.folder / stage
        prefixes = {"encoder": ("encoder.",), "llm": ("language_model.",), "align": ("projector.", "language_model.")}
        state = {name: value for name, value in model.state_dict().items() if name.startswith(prefixes[stage])}
        save_file(state, folder / "weights.safetensors")
        (folder / "done.json").write_text("{}", encoding="utf-8")
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)

    def _trainer(
        self, stage: StageName, model: Spa3dModel, processor: Spa3dProcessor, settings: StageSettings
    ) -> Callable[..., Any]:
        """The trainer of a stage, still without arguments, model and samples bound by `fit`."""
        total = optimiser_steps(settings, len(self.records)) * settings.batch_size
        stream = partial(SampleStream, self.records, total, self.config.base.seed)
        clouds = make_clouds(self.assembly, processor)
        if stage == "encoder":
            torch.manual_seed(self.config.base.seed)
            targets = Targets(self.records)
            module: nn.Module = EncoderPretraining(model.encoder, targets)
            bare = partial(tokenised, processor, captions)
            return partial(EncoderTrainer, clouds, targets, self.records, model=module, train_dataset=stream(bare([])))
        model.set_trained(*parts_trained(stage, settings))
        if stage == "llm":
            text = language_text(processor, self.talk, self.config.base.seed)
            pad = int(processor.tokenizer.pad_token_id)
            return partial(LanguageTrainer, pad, model=model, train_dataset=stream(text))
        talk = captions if stage == "align" else self.talk
        samples = stream(tokenised(processor, talk, ["cloud"], blind=self.config.blind))
        views = Views(model, clouds, make_token_store(self.assembly, model))
        return partial(ObjectiveTrainer, self.assembly.sft, views, model=model, train_dataset=samples)

    def _fresh(self) -> tuple[Spa3dModel, Spa3dProcessor]:
        """Model and processor before the first stage, a pure function of ``base.seed``."""
        config, seed = self.config, self.config.base.seed
        torch.manual_seed(seed)
        encoder = self.assembly.make_encoder()
        llm, tokenizer, ids = make_llm(config.llm, lambda: training_text(self.records, self.talk))
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
        settings = config.points
        processor = Spa3dProcessor(
            tokenizer,
            num_point_tokens=model.num_point_tokens(),
            points={
                "count": self.assembly.num_points,
                "method": settings.resample,
                "normalise": settings.normalise,
                "missing_color": settings.missing_color,
            },
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
            "config": _plain(selection.config),
        }
        return entry if origin.distribution else {**entry, "plugin": origin.plugin}

    def _finish(self, model: Spa3dModel, processor: Spa3dProcessor) -> None:
        save_model(model, processor, self.base.model_folder)
        (self.base.model_folder / "done.json").write_text(json.dumps({"hashes": part_hashes(model)}), encoding="utf-8")
        for stage in stages_of(self.config):
            shutil.rmtree(self.base.folder / stage, ignore_errors=True)


def place(model: nn.Module, device: torch.device) -> None:
    """Move `model` to `device`, in place."""
    model.to(device)


def part_hashes(model: Spa3dModel) -> dict[str, str]:
    """Hash of the weights of each part."""
    return {
        name: hash_weights(getattr(model, name).state_dict()) for name in ("encoder", "projector", "language_model")
    }


def save_model(model: Spa3dModel, processor: Spa3dProcessor, folder: Path) -> None:
    """Write a 3D LLM that ``from_pretrained`` and ``spa3d.load`` read: safetensors, config, processor."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def training_text(records: Sequence[Record], talk: Talk) -> Iterator[str]:
    """The text of the training split, for the tokenizer: captions, questions and answers."""
    for record in records:
        yield f"USER: ASSISTANT: {record.caption or ''}"
        for turn in talk(record, 0).rounds:
            yield f" {turn.question}"
            yield f" {turn.answer}"


def answers_file(base: Base, assembly: Assembly, name: str) -> Path:
    """Where the base's answers to a benchmark's questions are kept."""
    config = assembly.config
    selection = next(chosen for chosen in config.benchmark if chosen.asked == name)
    target = assembly.registry.target(assembly.registry.get("benchmark", selection.component))
    marks = [
        selection.config,
        config.evaluate.model_dump(exclude={"bootstrap", "batch_size"}),
        assembly.dataset.fingerprint(),
        hash_sources([Path(inspect.getfile(target))]),
        config.blind,
    ]
    return base.folder / "predictions" / f"{name}.{digest(marks)}.jsonl"


@contextmanager
def exclusive(path: Path, reporter: Reporter) -> Iterator[None]:
    """Hold a lock file: two runs that want the same base build it once. The first process holds it for all."""
    if not ranks.is_first():
        yield
        return
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reporter.say(f"another run is building the base in {path.parent}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists: how a value looks once it has been through JSON."""
    return dict(json.loads(json.dumps(value)))
