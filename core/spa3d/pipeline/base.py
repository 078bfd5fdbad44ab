"""The base: the 3D LLM that post-training starts from. Built once per key, resumable stage by stage, shared by runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spa3d.artifacts.diff import differences
from spa3d.artifacts.hashing import digest, hash_files, hash_folder, hash_sources, hash_weights
from spa3d.artifacts.sources import source_files
from spa3d.artifacts.workspace import bases_folder
from spa3d.checkpoints.load import describe, read
from spa3d.config.stages import stages_of
from spa3d.errors import CheckpointError
from spa3d.model.configuration import Spa3dConfig
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor
from spa3d.pipeline.parts import Assembly


def ingredients(assembly: Assembly, left_out: Collection[str] = ()) -> dict[str, Any]:
    """Everything that decides what the base is; its hash is the base's key.

    Args:
        assembly: of the run that wants it.
        left_out: ids of the training records that cannot be read and are skipped.

    """
    config = assembly.config
    stages = {name: getattr(config.base, name).model_dump() for name in stages_of(config)}
    for stage in stages.values():
        stage.pop("save_every"), stage.pop("log_every")
    return {
        "encoder": config.encoder.model_dump(include={"component", "config"}),
        "weights": hash_files(assembly.weights.files) if assembly.weights else "",
        "projector": config.projector.model_dump(include={"component", "config"}),
        "llm": config.llm.model_dump(),
        "points": config.points.model_dump(),
        "stages": stages,
        "seed": config.base.seed,
        "blind": config.blind,
        "data": assembly.dataset.fingerprint(),
        "left_out": sorted(left_out),
        "device": assembly.device.type,
        "bf16": assembly.bf16,
        "sources": hash_sources(assembly.sources()),
    }


@dataclass(frozen=True)
class Base:
    """A base on disk.

    Attributes:
        folder: its folder: ``model/``, ``metrics.jsonl``, ``base.json``.
        key: hash of its ingredients; of a given base, of its contents.
        ingredients: what decides it; empty for a given base.

    """

    folder: Path
    key: str
    ingredients: Mapping[str, Any] = field(default_factory=dict)

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


def locate(assembly: Assembly, *, left_out: Collection[str] = ()) -> Base:
    """The base of this run, finished or not; `left_out` as for `ingredients`."""
    path = assembly.config.base.path
    if path:
        base = Base(Path(path), "")
        if not (base.model_folder / "config.json").exists():
            raise CheckpointError(
                f"--base {path}: no 3D LLM there (config.json is missing); give the model/ folder of a run, or leave "
                f"--base out to build one"
            )
        _fitting(base.model_folder, assembly)
        return Base(Path(path), hash_folder(base.model_folder))
    made_of = ingredients(assembly, left_out)
    key = digest(made_of)
    return Base(bases_folder() / key, key, made_of)


def nearest_difference(base: Base) -> list[str]:
    """What keeps the most similar finished base from being this one: lines ``key: theirs → ours``."""
    ours, found = json.loads(json.dumps(base.ingredients, default=str)), []
    for path in sorted(bases_folder().glob("*/base.json")):
        if Base(path.parent, path.parent.name).there:
            theirs = json.loads(path.read_text(encoding="utf-8"))
            found.append(differences(theirs, ours))
    return min(found, key=len, default=[])


def load_base(folder: Path, assembly: Assembly) -> tuple[Spa3dModel, Spa3dProcessor]:
    """Load a finished 3D LLM with this run's registry, plugins and device; `CheckpointError` if it does not fit."""
    config = _fitting(folder, assembly)
    encoder = assembly.make_encoder()
    projector = assembly.make_projector(encoder.dim, config.text_config.hidden_size)
    model, processor = read(folder, config, encoder, projector)
    _refuse(folder, differences({"points": processor.points}, {"points": assembly.preparation()}))
    place(model, assembly.device)
    return model, processor


def _fitting(folder: Path, assembly: Assembly) -> Spa3dConfig:
    """What the 3D LLM in `folder` says of itself, if this run is made of the same parts."""
    config = describe(folder)
    _refuse(folder, differences(_parts_of(config), _parts_chosen(assembly)))
    return config


def _refuse(folder: Path, lines: list[str]) -> None:
    if lines:
        raise CheckpointError(
            f"the 3D LLM in {folder} was made with other settings ({'; '.join(lines)}); choose those, or leave --base "
            f"out to build a base for these"
        )


def _parts_of(config: Spa3dConfig) -> dict[str, Any]:
    """What a saved 3D LLM was made of, as far as this run must be made of the same."""
    chosen: dict[str, Any] = {
        kind: {key: entry.get(key) for key in ("name", "distribution", "config")}
        for kind, entry in (("encoder", config.encoder), ("projector", config.projector))
    }
    return {**chosen, "points.count": config.num_points, "dataset.up_axis": config.up_axis}


def _parts_chosen(assembly: Assembly) -> dict[str, Any]:
    """The same of this run."""
    chosen: dict[str, Any] = {}
    for kind, selection in (("encoder", assembly.config.encoder), ("projector", assembly.config.projector)):
        component = assembly.registry.get(kind, selection.component)
        distribution = assembly.registry.origin(component).distribution
        chosen[kind] = {"name": component.name, "distribution": distribution, "config": plain(selection.config)}
    return {**chosen, "points.count": assembly.num_points, "dataset.up_axis": assembly.dataset.up_axis}


def place(model: nn.Module, device: torch.device) -> None:
    """Move `model` to `device`, in place."""
    model.to(device)


def part_hashes(model: Spa3dModel) -> dict[str, str]:
    """Hash of the weights of each part."""
    return {
        name: hash_weights(getattr(model, name).state_dict()) for name in ("encoder", "projector", "language_model")
    }


def answers_file(base: Base, assembly: Assembly, name: str, *, left_out: Collection[str] = ()) -> Path:
    """Where the base's answers to a benchmark's questions are kept; `left_out` are records that nobody asks about."""
    config = assembly.config
    selection = next(chosen for chosen in config.benchmark if chosen.asked == name)
    target = assembly.registry.target(assembly.registry.get("benchmark", selection.component))
    marks = [
        selection.config,
        config.evaluate.model_dump(exclude={"bootstrap", "batch_size"}),
        assembly.dataset.fingerprint(),
        hash_sources(source_files("spa3d.evaluation.evaluate", target.__module__)),
        config.blind,
        sorted(left_out),
    ]
    return bases_folder() / base.key / "predictions" / f"{name}.{digest(marks)}.jsonl"


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists: how a value looks once it has been through JSON."""
    return dict(json.loads(json.dumps(value)))
