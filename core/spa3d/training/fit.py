"""Runs one stage of training to its end, from its last whole checkpoint if there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from spa3d.artifacts.metrics_log import Journal
from spa3d.config.settings import StageSettings
from spa3d.runtime.progress import Reporter
from spa3d.training.arguments import as_batch, last_checkpoint, training_arguments
from spa3d.training.trainer import Watch


def fit(
    trainer: Callable[..., Any],
    *,
    stage: str,
    settings: StageSettings,
    steps: int,
    folder: Path,
    seed: int,
    device: torch.device,
    bf16: bool,
    journal: Journal,
    reporter: Reporter,
    callbacks: Sequence[TrainerCallback] = (),
) -> None:
    """Train until `steps`; the model that `trainer` holds is trained in place.

    Args:
        trainer: builds the trainer from ``args``, ``data_collator`` and ``callbacks``; model and samples are bound.
        stage: its name in the journal.
        settings: batch size, learning rate and the rest.
        steps: optimiser steps.
        folder: checkpoints go to ``folder/checkpoints``.
        seed: seeds the Trainer (dropout of a part that trains, fresh heads).
        device: where.
        bf16: under bfloat16 autocast.
        journal: where numbers go.
        reporter: where progress goes.
        callbacks: more observers, such as the held-out probe.

    """
    checkpoints = folder / "checkpoints"
    checkpoint = last_checkpoint(checkpoints)
    done = int(checkpoint.name.split("-")[1]) if checkpoint else 0
    journal.rewind(stage, done)
    arguments = training_arguments(settings, folder=checkpoints, steps=steps, seed=seed, device=device, bf16=bf16)
    with reporter.track(steps, stage) as advance:
        advance(done)
        running = trainer(args=arguments, data_collator=as_batch)
        running.rates = settings.rates
        running.add_callback(Watch(stage, journal, advance, running.told))
        for callback in callbacks:
            running.add_callback(callback)
        running.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
