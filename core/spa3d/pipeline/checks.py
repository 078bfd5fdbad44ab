"""Checks that a run's parts, settings and data fit together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from spa3d.checkpoints.load import describe
from spa3d.config.settings import RunConfig, Selection
from spa3d.contracts.dataset import Dataset, Record
from spa3d.contracts.encoder import Encoder
from spa3d.contracts.objective import Objective, asks_for_pairs, asks_for_twins
from spa3d.errors import ConfigError, DataError, PluginError
from spa3d.model import adapters
from spa3d.model.adapters import faults as adapter_faults
from spa3d.pipeline.base import Base
from spa3d.pipeline.parts import Assembly


def _weights_faults(config: RunConfig) -> list[str]:
    if not config.base.path or not config.encoder.checkpoint:
        return []
    given = f"--encoder.checkpoint {config.encoder.checkpoint}"
    return [f"{given}: --base {config.base.path} brings the weights of its own encoder; give one of the two"]


def _objective_faults(config: RunConfig, objective: Objective, dataset: Dataset) -> list[str]:
    """What `objective` asks for that this run cannot give."""
    faults, asked = [], config.objective.asked
    if asks_for_pairs(objective.needs) and not (config.pairs.path or config.pairs.mode):
        faults.append(
            f"--objective {asked}: it needs rejected answers; make them in this run with --pairs.mode augmentation "
            "(the model's own answers to noised clouds) or --pairs.mode corruption (true answers rewritten), or "
            "beforehand with `spa3d pairs FILE`, and give them with --pairs.path FILE"
        )
    if config.pairs.path and config.pairs.mode:
        faults.append(
            f"--pairs.path {config.pairs.path} and --pairs.mode {config.pairs.mode}: read pairs or make them; give one"
        )
    if asks_for_twins(objective.needs) and type(dataset).twin is Dataset.twin:
        faults.append(f"--objective {asked}: it needs twins, and dataset {config.dataset.asked} makes none")
    views = sorted({need.view for need in objective.needs} - {"clean", "blind"})
    if config.blind and views:
        way = "leave it out, or take an objective without that view, such as sft"
        faults.append(f"--blind: there is no cloud for the {views[0]} view that {asked} asks for; {way}")
    return faults


def _stage_faults(config: RunConfig) -> list[str]:
    from spa3d.config.stages import parts_trained  # it stands on assemblies

    stages = {f"base.{name}": getattr(config.base, name) for name in ("encoder", "llm", "align", "instruct")}
    world = int(os.environ.get("WORLD_SIZE", "1"))
    split = f" among {world} processes" if world > 1 else ""
    faults = [
        f"--base.{name}.train {','.join(stage.train)}: this stage trains the {name} alone; leave it out"
        for name, stage in (("encoder", config.base.encoder), ("llm", config.base.llm))
        if stage.train not in ((), (name,))
    ]
    given = None if config.base.path else config.llm
    faults += adapter_faults(config.train.lora, parts_trained("post-train", config.train), given)
    return faults + [
        f"--{name}.batch_size {stage.batch_size} cannot be split into --{name}.accumulation {stage.accumulation}{split}"
        for name, stage in {**stages, "train": config.train}.items()
        if stage.batch_size % (stage.accumulation * world)
    ]


def _part_faults(assembly: Assembly, encoder: Encoder) -> list[str]:
    """Hold encoder, projector and LLM against each other: shapes by one small forward, room for a cloud in a prompt."""
    from spa3d.model.llm import llm_config  # it brings transformers, for which a look at the devices should not wait

    count, config = assembly.num_points, assembly.config
    if not count:
        return [f"--points.count: say how many points a cloud has; dataset {config.dataset.asked} does not"]
    if count < encoder.min_points:
        needs = f"encoder {config.encoder.asked} needs at least {encoder.min_points} points"
        return [f"--points.count {count}: {needs}; raise it, or choose an encoder that needs fewer"]
    points = torch.rand(1, count, encoder.channels, generator=torch.Generator().manual_seed(0))
    tokens = _tried(f"--encoder {config.encoder.asked}", encoder, points)
    promised = (1, encoder.num_tokens(count), encoder.dim)
    faults = _broken_word("encoder", config.encoder, tokens, promised)
    if config.base.path:  # it brings its own LLM, and what else it was made of is looked at where it is located
        return faults
    with torch.device("meta"):
        hidden = llm_config(config.llm).get_text_config().hidden_size
        projector = assembly.make_projector(encoder.dim, hidden)
        prompt = _tried(f"--projector {config.projector.asked}", projector, torch.empty(promised))
    length = projector.num_tokens(encoder.num_tokens(count))
    faults += _broken_word("projector", config.projector, prompt, (1, length, hidden))
    if length + 2 >= config.llm.max_length:
        takes = f"a cloud takes {length + 2} tokens, so no text fits"
        faults.append(f"--llm.max_length {config.llm.max_length}: {takes}; raise it, or choose fewer point tokens")
    return faults


def _tried(what: str, part: nn.Module, given: torch.Tensor) -> torch.Tensor:
    try:
        with torch.no_grad():
            found: torch.Tensor = part(given)
    except Exception as fault:
        shape = tuple(given.shape)
        raise PluginError(f"{what}: it fails on an input of shape {shape}: {type(fault).__name__}: {fault}") from fault
    return found


def _broken_word(kind: str, chosen: Selection, given: torch.Tensor, promised: tuple[int, ...]) -> list[str]:
    shape = tuple(given.shape)
    return [f"--{kind} {chosen.asked}: it promises the shape {promised} and gives {shape}"] if shape != promised else []


Splits = Mapping[str, Sequence[Record]]


def held_out(assembly: Assembly, splits: Splits) -> Sequence[Record]:
    """The records that the held-out slice is taken from; none without clouds, or with fewer than two in split val.

    Raises:
        ConfigError: there are none, and a setting depends on them.

    """
    config = assembly.config
    records = () if config.blind else splits.get("val") or ()
    if len(records) > 1:
        return records
    asked = ["--train.early_stop"] * config.train.early_stop + ["--train.keep best"] * (config.train.keep == "best")
    if asked:
        why = "with --blind no cloud is shown" if config.blind else "split val has fewer than two records"
        raise ConfigError(f"{' and '.join(asked)}: nothing is held out to go by, for {why}; leave it out")
    return ()


def refuse_twinless(assembly: Assembly, splits: Splits) -> None:
    """Without any twin an objective that contrasts them would be another one, and nobody would be told.

    Raises:
        DataError: the objective wants twins, and no training record has one.

    """
    config, dataset, records = assembly.config, assembly.dataset, splits["train"]
    if asks_for_twins(assembly.objective.needs) and all(dataset.twin(record, 0) is None for record in records):
        raise DataError(
            f"--objective {config.objective.asked}: none of the {len(records)} training records of dataset "
            f"{config.dataset.asked} has a twin; where clouds come from files, twins need facts about main_color or "
            "shape that agree with the cloud (README, Your own clouds)"
        )


def refuse_targets(assembly: Assembly, base: Base) -> None:
    """A given base brings an LLM of its own: raise `ConfigError` where it lacks the layers that are to get adapters."""
    config = assembly.config
    if config.base.path and config.train.lora.rank:
        adapters.planned_size(config.train.lora, describe(base.model_folder).text_config)
