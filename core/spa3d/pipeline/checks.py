"""Checks of components and settings against each other, before any data are read."""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedConfig

from spa3d.config.settings import LLMSettings, RunConfig
from spa3d.config.stages import stages_of, trained_parts
from spa3d.contracts.checks import NOT_FINITE, count_misfit, not_finite, tensor_misfit
from spa3d.contracts.dataset import Dataset
from spa3d.contracts.encoder import Encoder, promise_misfits
from spa3d.contracts.objective import asks_for_pairs, asks_for_twins
from spa3d.inference.views import BUILT_IN
from spa3d.model.adapters import errors as adapter_errors
from spa3d.model.llm import embedding_width, llm_config, max_positions
from spa3d.model.trained_parts import find_batch_statistics
from spa3d.pipeline.parts import Parts
from spa3d.pipeline.trials import trial
from spa3d.runtime.distributed import world_size


def weights_errors(config: RunConfig) -> list[str]:
    """Errors about where the encoder's weights come from."""
    if not config.base.path or not config.encoder.checkpoint:
        return []
    flag = f"--encoder.checkpoint {config.encoder.checkpoint}"
    return [f"{flag}: --base {config.base.path} brings the weights of its own encoder; give one of the two"]


def objective_errors(config: RunConfig, parts: Parts) -> list[str]:
    """Needs of the objective that this run cannot meet."""
    errors, name, needs = [], config.objective.requested, parts.objective.needs
    if asks_for_pairs(needs) and not (config.pairs.path or config.pairs.mode):
        errors.append(
            f"--objective {name}: it needs rejected answers; make them in this run with --pairs.mode augmentation "
            "(the model's own answers to noised clouds) or --pairs.mode corruption (true answers rewritten), or "
            "beforehand with `spa3d pairs FILE`, and give them with --pairs.path FILE"
        )
    if config.pairs.path and config.pairs.mode:
        errors.append(
            f"--pairs.path {config.pairs.path} and --pairs.mode {config.pairs.mode}: read pairs or make them; give one"
        )
    if asks_for_twins(needs) and type(parts.dataset).twin is Dataset.twin:
        errors.append(f"--objective {name}: it needs twins, and dataset {config.dataset.requested} makes none")
    unknown = sorted({need.view for need in needs} - {view.name for view in BUILT_IN})
    if unknown:
        known = ", ".join(sorted(view.name for view in BUILT_IN))
        errors.append(f"--objective {name}: it needs the view {unknown[0]}, and there are {known}")
    views = sorted({need.view for need in needs} - {"clean", "blind"})
    if config.blind and views:
        hint = "leave it out, or take an objective without that view, such as sft"
        errors.append(f"--blind: there is no cloud for the {views[0]} view that {name} asks for; {hint}")
    return errors


def stage_errors(config: RunConfig) -> list[str]:
    """Settings of stages that contradict each other, this number of processes, or the LLM."""
    stages = {f"base.{name}": getattr(config.base, name) for name in ("encoder", "llm", "align", "instruct")}
    world = world_size()
    split = f" among {world} processes" if world > 1 else ""
    errors = [
        f"--base.{name}.train {','.join(stage.train)}: this stage trains the {name} alone; leave it out"
        for name, stage in (("encoder", config.base.encoder), ("llm", config.base.llm))
        if stage.train not in ((), (name,))
    ]
    llm = None if config.base.path else config.llm
    errors += adapter_errors(config.train.lora, trained_parts("post-train", config.train), llm)
    return errors + [
        f"--{name}.batch_size {stage.batch_size} cannot be split into --{name}.accumulation {stage.accumulation}{split}"
        for name, stage in {**stages, "train": config.train}.items()
        if stage.batch_size % (stage.accumulation * world)
    ]


def split_errors(config: RunConfig, encoder: Encoder) -> list[str]:
    """Error of a split batch in the pretraining of an encoder with batch normalization."""
    split = config.base.encoder.accumulation
    if split == 1 or "encoder" not in stages_of(config) or not find_batch_statistics(encoder):
        return []
    flag, name = f"--base.encoder.accumulation {split}", config.encoder.requested
    hint = "leave it out, and lower --base.encoder.batch_size if memory is short"
    return [f"{flag}: encoder {name} has batch normalization, which would take each part of a batch by itself; {hint}"]


def part_errors(parts: Parts, encoder: Encoder, llm: LLMSettings, *, base: str) -> list[str]:
    """Errors of encoder, projector and LLM: output shapes of one small forward, prompt length.

    Args:
        parts: the components of the run.
        encoder: one of its encoders, in eval mode.
        llm: settings of the LLM.
        base: folder of ``--base``, which has its own LLM; else empty.

    """
    count, name = parts.num_points, parts.names["encoder"]
    if not count:
        return [f"--points.count: say how many points a cloud has; dataset {parts.names['dataset']} does not"]
    promises = promise_misfits(encoder, count)
    if promises:
        return [f"--encoder {name}: {misfit}" for misfit in promises]
    if count < encoder.min_points:
        needs = f"encoder {name} needs at least {encoder.min_points} points"
        return [f"--points.count {count}: {needs}; raise it, or choose an encoder that needs fewer"]
    points = torch.rand(1, count, encoder.channels, generator=torch.Generator().manual_seed(0))
    tokens = try_forward(f"--encoder {name}", encoder, points)
    promised = (1, encoder.num_tokens(count), encoder.dim)
    errors = output_errors(f"--encoder {name}", tokens, promised)
    if not errors and not_finite(tokens):
        errors = [f"--encoder {name}: {NOT_FINITE}, for points in 0..1"]
    if base:  # its other parts are checked in `find_base`
        return errors
    projector_name = f"--projector {parts.names['projector']}"
    with torch.device("meta"):
        hidden = embedding_width(llm_config(llm))
        projector = parts.make_projector(encoder.dim, hidden)
        prompt = try_forward(projector_name, projector, torch.empty(promised))
    length = projector.num_tokens(encoder.num_tokens(count))
    uncounted = count_misfit(f"num_tokens({promised[1]})", length)
    if uncounted:
        return [*errors, f"{projector_name}: {uncounted}"]
    errors += output_errors(projector_name, prompt, (1, length, hidden))
    if length + 2 >= llm.max_length:
        takes = f"a cloud takes {length + 2} tokens, so no text fits"
        errors.append(f"--llm.max_length {llm.max_length}: {takes}; raise it, or choose fewer point tokens")
    return [*errors, *position_errors(llm_config(llm), llm.max_length)]


def position_errors(llm: PreTrainedConfig, max_length: int) -> list[str]:
    """The error of prompts that the LLM's positions cannot hold, as a list; empty if they fit."""
    positions = max_positions(llm)
    if positions is None or max_length <= positions:
        return []
    exceeds = f"prompts with their answers may exceed the {positions} positions of the LLM (max_position_embeddings)"
    return [f"--llm.max_length {max_length}: {exceeds}; set {positions} or less, or choose another LLM"]


def try_forward(what: str, part: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Run one forward without gradient; raises `PluginError` with the flag `what` if it fails."""
    with torch.no_grad(), trial(what, f"on an input of shape {tuple(inputs.shape)}"):
        output: torch.Tensor = part(inputs)
    return output


def output_errors(what: str, output: object, expected: tuple[int, ...]) -> list[str]:
    """The error of an output that is not as promised, as a list; empty if it is."""
    misfit = tensor_misfit(output, expected)
    return [f"{what}: {misfit}"] if misfit else []
